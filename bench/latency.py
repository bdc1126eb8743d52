#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A hundred URLs whose answers take 50 to 500 ms: how long they take at once, and the slowest alone.

usage: latency.py --hob HOB --site HOB-SITE

Both are whole runs of hob fetch, start-up included, in turn.  JSON rows to standard output.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

URLS, SHORTEST, LONGEST, RUNS = 100, 50, 500, 7


def fetch_ms(hob, urls):
    begin = time.monotonic()
    run = subprocess.run([hob, "fetch", "-j", str(URLS), "--jsonl", "-", *urls],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    took = (time.monotonic() - begin) * 1000
    good = sum(json.loads(line)["status"] == 200 for line in run.stdout.splitlines())
    if run.returncode != 0 or good != len(urls):
        sys.exit(f"latency.py: {good} of {len(urls)} pages came: {run.stderr.decode()}")
    return took


def row(subject, values):
    print(json.dumps({"bench": "latency", "subject": subject, "unit": "ms",
                      "median": statistics.median(values), "min": min(values),
                      "max": max(values), "n": len(values),
                      "n_cores": len(os.sched_getaffinity(0))}), flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--hob", required=True)
    p.add_argument("--site", required=True)
    args = p.parse_args()
    with subprocess.Popen([args.site, "--port=0"], stdout=subprocess.PIPE, text=True) as site:
        try:
            base = site.stdout.readline().strip()
            all_of_them = [f"{base}/slow?ms={SHORTEST + (LONGEST - SHORTEST) * k // (URLS - 1)}"
                           for k in range(URLS)]
            all_of_them = all_of_them[37:] + all_of_them[:37]  # the slowest neither first nor last
            slowest = [f"{base}/slow?ms={LONGEST}"]
            together, alone = [], []
            for _ in range(RUNS):
                together.append(fetch_ms(args.hob, all_of_them))
                alone.append(fetch_ms(args.hob, slowest))
        finally:
            site.terminate()
    row("hob", together)
    row("slowest", alone)


if __name__ == "__main__":
    main()
