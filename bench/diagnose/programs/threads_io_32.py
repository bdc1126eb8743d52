# SPDX-License-Identifier: MIT
from concurrent.futures import ThreadPoolExecutor

from work import get

with ThreadPoolExecutor(32) as pool:
    list(pool.map(lambda _: get(50), range(160)))
