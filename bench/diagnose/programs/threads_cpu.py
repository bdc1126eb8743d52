# SPDX-License-Identifier: MIT
import threading

from work import compute


def part():
    for _ in range(4):
        compute(10)


threads = [threading.Thread(target=part) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
