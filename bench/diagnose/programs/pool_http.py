# SPDX-License-Identifier: MIT
from multiprocessing import Pool

from work import get

if __name__ == "__main__":
    with Pool(4) as pool:
        pool.map(get, [50] * 96, chunksize=1)
