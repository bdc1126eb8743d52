# SPDX-License-Identifier: MIT
import asyncio

from work import gather

asyncio.run(gather(800, 100, at_once=50))
