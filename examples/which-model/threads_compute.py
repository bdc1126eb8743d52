# SPDX-License-Identifier: MIT
"""Four threads that compute.  Python's lock lets one of them run."""
import threading

from kitchen import compute


def cook():
    for piece in range(4):
        compute(piece)


cooks = [threading.Thread(target=cook) for _ in range(4)]
for c in cooks:
    c.start()
for c in cooks:
    c.join()
