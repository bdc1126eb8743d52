# SPDX-License-Identifier: MIT
"""Fetches pages, each when the one before is there.  Needs Debian's python3-aiohttp."""
import asyncio
import sys

import aiohttp


async def main(urls):
    async with aiohttp.ClientSession() as session:
        async def fetch(url):
            async with session.get(url) as answer:
                return await answer.read()

        pages = [await fetch(url) for url in urls]
    print(len(pages), "pages")

asyncio.run(main(sys.argv[1:]))
