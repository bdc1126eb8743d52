# SPDX-License-Identifier: MIT
"""All benches, in the order they run.  A new one is an entry in a module here."""
from . import crawl, fetch, fibers

BENCHES = [*fibers.BENCHES, *fetch.BENCHES, *crawl.BENCHES]
