# SPDX-License-Identifier: MIT
from work import compute, get

for _ in range(40):
    get(25)
    compute(1.5)
