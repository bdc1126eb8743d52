# SPDX-License-Identifier: MIT
"""What the Python programs of this bench do: fetch late pages, compute."""
import asyncio
import http.client
import os

HOST, PORT = "127.0.0.1", int(os.environ.get("LATE_PORT", "0"))


def get(ms):
    connection = http.client.HTTPConnection(HOST, PORT)
    connection.request("GET", f"/?ms={ms}", headers={"Connection": "close"})
    body = connection.getresponse().read()
    connection.close()
    return body


def compute(n=1):
    """About n * 10 ms of pure Python."""
    total = 0
    for i in range(int(n * 120000)):
        total += i * i % 7
    return total


async def get_async(ms):
    reader, writer = await asyncio.open_connection(HOST, PORT)
    writer.write(f"GET /?ms={ms} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    body = await reader.read()
    writer.close()
    return body


async def gather(n, ms, at_once):
    limit = asyncio.Semaphore(at_once)

    async def one():
        async with limit:
            return await get_async(ms)

    await asyncio.gather(*[one() for _ in range(n)])
