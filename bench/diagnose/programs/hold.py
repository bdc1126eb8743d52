# SPDX-License-Identifier: MIT
"""N connections, each with one late page after the other: hold.py N MS PAGES"""
import asyncio
import sys

from work import HOST, PORT


class Client(asyncio.Protocol):
    def __init__(self, request, pages, done):
        self.request, self.left, self.done, self.have = request, pages, done, 0

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        self.have += len(data)
        if not data.endswith(b"x" * 100):
            return
        self.left -= 1
        if self.left:
            self.transport.write(self.request)
        else:
            self.transport.close()
            self.done.set_result(None)


async def main(n, ms, pages):
    loop = asyncio.get_running_loop()
    request = f"GET /?ms={ms} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    ends = [loop.create_future() for _ in range(n)]
    for end in ends:
        await loop.create_connection(lambda: Client(request, pages, end), HOST, PORT)
    await asyncio.gather(*ends)


asyncio.run(main(*map(int, sys.argv[1:4])))
