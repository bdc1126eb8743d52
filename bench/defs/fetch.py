# SPDX-License-Identifier: MIT
"""Fetching a list of URLs: what a page costs in CPU time, start-up included.

One core for the client, nginx on another, no latency, 50 at a time, the same list for all.
"""
import json

from harness.model import Bench, Build, Program, Site, Subject, pages_per_cpu_second

CONCURRENCY = "50"
SITE = Site(pages=4000, repeat=5)
PAGES = SITE.pages * SITE.repeat

BARE = Build("bare-loop", copy="c",
             steps=(("cc", "-O2", "-o", "{out}/multi_epoll", "multi_epoll.c", "-lcurl"),))
GO = Build("go-fetch", copy="go/fetch",
           steps=(("go", "build", "-buildvcs=false", "-o", "{out}/fetch", "."),),
           env={"GOCACHE": "{peers}/go-cache", "GOPATH": "{peers}/go-path",
                "GOPROXY": "off", "GOFLAGS": "-mod=mod"})


def jsonl_pages(output, tmp):
    """Rows of hob's own report that say a page came whole."""
    with open(f"{tmp}/rows.jsonl", encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    return sum(1 for row in rows if row["status"] == 200 and row["bytes"] > 0)


def all_or_none(output, tmp):
    """curl --fail: exit status 0 means that every URL of the list came."""
    return PAGES


BENCHES = [
    Bench("fetch", f"{PAGES:,} pages of 28 KB from loopback, {CONCURRENCY} at a time",
          unit="pages/cpu-s", better="higher", value=pages_per_cpu_second,
          site=SITE, expect_pages=PAGES, argv_in_dir=("{list}", CONCURRENCY),
          subjects=(
              Subject("hob", ("{hob}", "fetch", "-i", "{list}", "-j", CONCURRENCY,
                              "--jsonl", "rows.jsonl"), count=jsonl_pages),
              Subject("bare-loop", ("{peers}/bare-loop/multi_epoll", "{list}", CONCURRENCY),
                      BARE),
              Subject("curl", ("curl", "--silent", "--fail", "--parallel", "--parallel-immediate",
                               "--parallel-max", CONCURRENCY, "-K", "{curl}"),
                      count=all_or_none),
              Subject("go", ("{peers}/go-fetch/fetch", "{list}", CONCURRENCY), GO),
              Subject("aiohttp", ("/usr/bin/python3", "{src}/peers/python/fetch_aiohttp.py",
                                  "{list}", CONCURRENCY), needs=("python:aiohttp",)),
          ),
          targets={"bare-loop": 0.8, "aiohttp": 7}),
    Program("latency", "100 URLs at once, 50 to 500 ms each, beside the slowest of them alone",
            target="demo/hob-site",
            argv=("/usr/bin/python3", "{src}/latency.py", "--hob", "{hob}",
                  "--site", "{release}/demo/hob-site"),
            targets={"latency": {"slowest": 1 / 1.1}}, timeout=60),
]
