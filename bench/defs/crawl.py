# SPDX-License-Identifier: MIT
"""Following links and taking two fields from each page: what a page costs in CPU time.

All cores but the server's for the client, no delay, 50 connections, robots.txt not asked for by
the peers.  hob alone keeps its frontier and its results durably; the peers keep them in memory
(wget2 writes the pages as files, and extracts no fields).
"""
import json
import os

from harness.model import Bench, Build, Site, Subject, pages_per_cpu_second

CONCURRENCY = "50"
SITE = Site(pages=500)
PAGES = SITE.pages + 24 + 1  # and the category pages, and the index

GO = Build("go-crawl", copy="go/crawl",
           steps=(("go", "build", "-buildvcs=false", "-o", "{out}/crawl", "main.go"),),
           env={"GOCACHE": "{peers}/go-cache", "GO111MODULE": "off",
                "GOPATH": "/usr/share/gocode"})


def jsonl_pages(output, tmp):
    """Rows of hob's own results."""
    with open(f"{tmp}/rows.jsonl", encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    return sum(1 for row in rows if row["status"] == 200)


def html_files(output, tmp):
    """wget2 -r: the pages are the files it wrote."""
    return sum(name.endswith(".html") for _, _, names in os.walk(tmp) for name in names)


def hob(name, env):
    return Subject(name, ("{hob}", "crawl", "{start}", "--db", "crawl.db",
                          "--jsonl", "rows.jsonl", "--allow-private", "--delay", "0",
                          "--per-host", CONCURRENCY, "-j", CONCURRENCY, "--field", "title=css:h1",
                          "--field", "price=css:.amount"), count=jsonl_pages, env=env)


def watched(name, what, env):
    """What it costs to be watched: the same crawl with and without."""
    return Bench(name, what, unit="pages/cpu-s", better="higher", value=pages_per_cpu_second,
                 cores="rest", site=SITE, expect_pages=PAGES, timeout=180,
                 subjects=(hob("hob", env), hob("off", {})), targets={"off": 0.95})


BENCHES = [
    watched("trace_crawl", "the crawl, recorded into a file", {"HOB_TRACE": "crawl.trace"}),
    watched("advise_crawl", "the crawl, summed up for advice", {"HOB_ADVISE": "1"}),
    Bench("crawl", f"a closed site of {PAGES:,} pages of 28 KB, title and price of each",
          unit="pages/cpu-s", better="higher", value=pages_per_cpu_second, cores="rest",
          site=SITE, expect_pages=PAGES, timeout=180, argv_in_dir=("{start}", CONCURRENCY),
          subjects=(
              hob("hob", {}),
              Subject("asyncio", ("/usr/bin/python3", "{src}/peers/python/crawl_asyncio.py",
                                  "{start}", CONCURRENCY),
                      needs=("python:aiohttp", "python:lxml")),
              Subject("scrapy", ("/usr/bin/python3", "{src}/peers/python/crawl_scrapy.py",
                                 "{start}", CONCURRENCY), needs=("python:scrapy",)),
              Subject("wget2", ("wget2", "-q", "-r", "-l", "50", "--max-threads=" + CONCURRENCY,
                                "--robots=off", "--ignore-tags=img,link", "{start}"),
                      count=html_files),
              Subject("go", ("{peers}/go-crawl/crawl", "{start}", CONCURRENCY), GO),
          ),
          targets={"scrapy": 10}),
]
