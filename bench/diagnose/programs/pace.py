# SPDX-License-Identifier: MIT
import time

for _ in range(15):
    time.sleep(0.1)
