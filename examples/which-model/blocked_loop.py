# SPDX-License-Identifier: MIT
"""An event loop that computes: while it does, no answer is read.  Needs python3-aiohttp."""
import asyncio

import aiohttp

from kitchen import URLS, compute


async def main():
    async with aiohttp.ClientSession() as session:
        async def one(url):
            async with session.get(url) as answer:
                compute(await answer.read())

        await asyncio.gather(*map(one, URLS))

asyncio.run(main())
