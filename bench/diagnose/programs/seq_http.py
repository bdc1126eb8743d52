# SPDX-License-Identifier: MIT
from work import get

for _ in range(40):
    get(25)
