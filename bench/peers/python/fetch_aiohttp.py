# SPDX-License-Identifier: MIT
"""The article's fetcher: asyncio + aiohttp, a semaphore, 15 s a request, None on failure, gather.

usage: fetch_aiohttp.py LIST CONCURRENCY

Prints "pages N count", "failed N count" and "chars N count".
"""
import asyncio
import sys

import aiohttp


async def fetch(semaphore, session, url):
    async with semaphore:
        try:
            timeout = aiohttp.ClientTimeout(total=15)
            async with session.get(url, timeout=timeout) as response:
                return await response.text() if response.status == 200 else None
        except (aiohttp.ClientError, asyncio.TimeoutError):
            return None


async def main(path, concurrency):
    with open(path, encoding="utf-8") as lines:
        urls = lines.read().split()
    semaphore = asyncio.Semaphore(concurrency)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:
        texts = await asyncio.gather(*(fetch(semaphore, session, url) for url in urls))
    pages = [text for text in texts if text is not None]
    print(f"pages {len(pages)} count\nfailed {len(texts) - len(pages)} count\n"
          f"chars {sum(map(len, pages))} count")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
