# SPDX-License-Identifier: MIT
"""All benches, in the order they run.  A new one is an entry in a module here."""
from . import crawl, diagnose, fetch, fibers, many, pool

BENCHES = [*fibers.BENCHES, *many.BENCHES, *pool.BENCHES, *fetch.BENCHES, *crawl.BENCHES,
           *diagnose.BENCHES]
