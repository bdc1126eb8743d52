# SPDX-License-Identifier: MIT
"""Waits for a page, computes on it, and only then asks for the next: both models are missing."""
from kitchen import URLS, compute, wait

for url in URLS:
    compute(wait(url))
