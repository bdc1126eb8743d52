# SPDX-License-Identifier: MIT
"""Sixty-four processes that compute, whatever the cores."""
from multiprocessing import Pool

from kitchen import compute

if __name__ == "__main__":
    with Pool(64) as pool:
        pool.map(compute, range(64), chunksize=1)
