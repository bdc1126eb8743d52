# SPDX-License-Identifier: MIT
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pool

from work import compute, get

if __name__ == "__main__":
    with Pool(2) as processes, ThreadPoolExecutor(16) as threads:
        def one(_):
            get(25)
            return processes.apply_async(compute, (1.5,))

        for result in list(threads.map(one, range(40))):
            result.get()
