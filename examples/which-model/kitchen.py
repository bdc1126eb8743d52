# SPDX-License-Identifier: MIT
"""What the programs here do: wait for a page, and compute."""
import sys
import urllib.request

URLS = sys.argv[1:]


def wait(url):
    """Almost all of it waiting."""
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def compute(_=None):
    """Nothing but computing, about a tenth of a second."""
    total = 0
    for i in range(1_500_000):
        total += i * i % 7
    return total
