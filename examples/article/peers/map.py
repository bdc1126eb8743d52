# SPDX-License-Identifier: MIT
"""map.py - what map.c does"""
import multiprocessing
import os

POINTS = 1_000_000


def compute_chunk(chunk):
    return [x * x + x ** 0.5 for x in chunk]


if __name__ == '__main__':
    cores = len(os.sched_getaffinity(0))
    size = -(-POINTS // cores)
    chunks = [range(i, min(i + size, POINTS)) for i in range(0, POINTS, size)]
    with multiprocessing.Pool(cores) as pool:
        result = [y for part in pool.map(compute_chunk, chunks) for y in part]
    print('%d points on %d cores, the last is %.1f' % (len(result), cores, result[-1]))
