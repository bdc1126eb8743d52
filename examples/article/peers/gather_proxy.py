# SPDX-License-Identifier: MIT
"""gather_proxy.py http://USER:PASSWORD@HOST:PORT URL... - what gather_proxy.c does"""
import asyncio
import sys

import aiohttp

limit = asyncio.Semaphore(100)


async def fetch(session, url, proxy):
    try:
        async with limit, session.get(url, proxy=proxy) as res:
            return '%d %d bytes  %s' % (res.status, len(await res.read()), url)
    except Exception as e:
        return 'null %s  %s' % (e, url)


async def gather(proxy, urls):
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return await asyncio.gather(*(fetch(session, url, proxy) for url in urls))

print(*asyncio.run(gather(sys.argv[1], sys.argv[2:])), sep='\n')
