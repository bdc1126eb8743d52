# SPDX-License-Identifier: MIT
"""one_by_one.py after its advice: one cook, many pots."""
import asyncio
import sys

import aiohttp


async def main(urls):
    sem = asyncio.Semaphore(16)
    async with aiohttp.ClientSession() as session:
        async def fetch(url):
            async with sem, session.get(url) as answer:
                return await answer.read()

        pages = await asyncio.gather(*map(fetch, urls))
    print(len(pages), "pages")

asyncio.run(main(sys.argv[1:]))
