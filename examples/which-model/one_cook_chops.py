# SPDX-License-Identifier: MIT
"""Computing, one piece after the other: one cook with four dishes to chop."""
from kitchen import compute

for piece in range(16):
    compute(piece)
