# SPDX-License-Identifier: MIT
"""crawl.py [-x PROXY]... URL... - what crawl.c does"""
import argparse
import asyncio
import random

import aiohttp


async def fetch(session, url, proxies, limit):
    async with limit:
        try:
            proxy = random.choice(proxies) if proxies else None
            async with session.get(url, proxy=proxy) as res:
                return '%d %d bytes  %s' % (res.status, len(await res.read()), url)
        except Exception as e:
            return 'null %s  %s' % (e, url)


async def crawl(urls, proxies):
    limit = asyncio.Semaphore(50)
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return await asyncio.gather(*(fetch(session, url, proxies, limit) for url in urls))

p = argparse.ArgumentParser()
p.add_argument('-x', action='append', default=[])
p.add_argument('url', nargs='+')
args = p.parse_args()
pages = asyncio.run(crawl(args.url, args.x))
print(*pages, sep='\n')
print('%d of %d pages' % (sum(not page.startswith('null') for page in pages), len(pages)))
