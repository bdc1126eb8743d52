# SPDX-License-Identifier: MIT
"""Scrapy's side of the crawl bench.

usage: crawl_scrapy.py START_URL CONCURRENCY

Follows every link of the start URL's host; takes the h1 and the price of each page.  No delay,
no robots.txt, no log, items dropped after they are counted: nothing it does not need.
Prints "pages N count" and "priced N count".
"""
import sys
from urllib.parse import urlsplit

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.linkextractors import LinkExtractor

START, CONCURRENCY = sys.argv[1], int(sys.argv[2])
COUNT = {"pages": 0, "priced": 0}


class Shop(scrapy.Spider):
    name = "shop"
    start_urls = [START]
    custom_settings = {
        "LOG_ENABLED": False,
        "CONCURRENT_REQUESTS": CONCURRENCY,
        "CONCURRENT_REQUESTS_PER_DOMAIN": CONCURRENCY,
        "DOWNLOAD_DELAY": 0,
        "DOWNLOAD_TIMEOUT": 15,
        "ROBOTSTXT_OBEY": False,
        "TELNETCONSOLE_ENABLED": False,
        "COOKIES_ENABLED": False,
    }
    links = LinkExtractor(allow_domains=[urlsplit(START).netloc])

    def parse(self, response):
        price = response.css("[itemprop=price]::attr(content)").get()
        COUNT["pages"] += 1
        COUNT["priced"] += price is not None
        yield {"url": response.url, "title": response.css("h1::text").get(), "price": price}
        for link in self.links.extract_links(response):
            yield scrapy.Request(link.url)


process = CrawlerProcess()
process.crawl(Shop)
process.start()
for metric, value in COUNT.items():
    print(metric, value, "count")
