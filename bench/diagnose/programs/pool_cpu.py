# SPDX-License-Identifier: MIT
from multiprocessing import Pool

from work import compute

if __name__ == "__main__":
    with Pool(2) as pool:
        pool.map(compute, [10] * 24, chunksize=1)
