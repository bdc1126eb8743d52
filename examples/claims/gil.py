#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gil.py - Python's threads do not compute in parallel; its processes do

The same computation in as many pieces as there are usable cores: one after another, by threads,
by processes.
"""
import multiprocessing
import os
import threading
import time

STEPS = 1_500_000


def compute(_=None):
    x = 1
    for _ in range(STEPS):
        x = x * 1103515245 + 12345 & 0x7fffffff
    return x


def timed(run):
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1e3


def one_after_another():
    for _ in range(PIECES):
        compute()


def by_threads():
    threads = [threading.Thread(target=compute) for _ in range(PIECES)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def by_processes():
    with multiprocessing.Pool(PIECES) as pool:
        pool.map(compute, range(PIECES), 1)


if __name__ == '__main__':
    PIECES = len(os.sched_getaffinity(0))
    first = timed(one_after_another)
    print('%d pieces, one after another: %5.0f ms' % (PIECES, first))
    for name, run in (('threads', by_threads), ('processes', by_processes)):
        ms = timed(run)
        print('%d %-9s                  %5.0f ms, %.1fx' % (PIECES, name, ms, first / ms))
