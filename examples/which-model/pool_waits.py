# SPDX-License-Identifier: MIT
"""Four cooks, each in front of one pot: a pool of processes that only wait."""
from multiprocessing import Pool

from kitchen import URLS, wait

if __name__ == "__main__":
    with Pool(4) as pool:
        pool.map(wait, URLS * 3, chunksize=1)
