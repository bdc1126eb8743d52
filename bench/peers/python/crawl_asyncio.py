# SPDX-License-Identifier: MIT
"""The article's crawl: asyncio + aiohttp fetch, a ProcessPoolExecutor parses with lxml.

usage: crawl_asyncio.py START_URL CONCURRENCY

One worker process a usable core.  Follows every link of the start URL's host, fragments dropped;
takes the h1 and the price of each page.  Results stay in memory, as in the article.
Prints "pages N count", "failed N count" and "priced N count".
"""
import asyncio
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from urllib.parse import urljoin, urlsplit

import aiohttp
from lxml import html


def parse(url, text):
    """In a worker process: the fields and the links of one page."""
    tree = html.fromstring(text)
    title = tree.xpath("string(//h1)")
    price = tree.xpath("string(//*[@itemprop='price']/@content)")
    host = urlsplit(url)[:2]
    hrefs = {href.partition("#")[0] for href in tree.xpath("//a/@href")}
    links = {urljoin(url, href) for href in hrefs}
    return title, price, [link for link in links if urlsplit(link)[:2] == host]


class Crawl:
    def __init__(self, session, pool, concurrency):
        self.session, self.pool = session, pool
        self.semaphore = asyncio.Semaphore(concurrency)
        self.seen, self.results = set(), []
        self.live = 0
        self.idle = asyncio.Event()

    async def fetch(self, url):
        async with self.semaphore:
            try:
                timeout = aiohttp.ClientTimeout(total=15)
                async with self.session.get(url, timeout=timeout) as response:
                    return await response.text() if response.status == 200 else None
            except (aiohttp.ClientError, asyncio.TimeoutError):
                return None

    async def page(self, url):
        text = await self.fetch(url)
        if text is None:
            self.results.append((url, None, None))
            return
        loop = asyncio.get_running_loop()
        title, price, links = await loop.run_in_executor(self.pool, parse, url, text)
        self.results.append((url, title, price))
        for link in links:
            self.visit(link)

    def visit(self, url):
        if url not in self.seen:
            self.seen.add(url)
            self.live += 1
            asyncio.create_task(self.page(url)).add_done_callback(self.ended)

    def ended(self, task):
        self.live -= 1
        if self.live == 0:
            self.idle.set()
        task.result()

    async def run(self, start):
        self.visit(start)
        await self.idle.wait()


async def main(start, concurrency):
    connector = aiohttp.TCPConnector(limit=concurrency)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        async with aiohttp.ClientSession(connector=connector) as session:
            crawl = Crawl(session, pool, concurrency)
            await crawl.run(start)
    good = [row for row in crawl.results if row[1] is not None]
    print(f"pages {len(good)} count\nfailed {len(crawl.results) - len(good)} count\n"
          f"priced {sum(1 for row in good if row[2])} count")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
