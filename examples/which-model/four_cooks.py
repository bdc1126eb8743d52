# SPDX-License-Identifier: MIT
"""Computing, by four processes: four cooks."""
from multiprocessing import Pool

from kitchen import compute

if __name__ == "__main__":
    with Pool(4) as pool:
        pool.map(compute, range(48), chunksize=2)
