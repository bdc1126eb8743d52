# SPDX-License-Identifier: MIT
"""gather.py URL... - what gather.c does"""
import asyncio
import sys

import aiohttp

limit = asyncio.Semaphore(100)


async def fetch(session, url):
    try:
        async with limit, session.get(url) as res:
            return '%d %d bytes  %s' % (res.status, len(await res.read()), url)
    except Exception as e:
        return 'null %s  %s' % (e, url)


async def gather(urls):
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return await asyncio.gather(*(fetch(session, url) for url in urls))

print(*asyncio.run(gather(sys.argv[1:])), sep='\n')
