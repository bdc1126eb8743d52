# SPDX-License-Identifier: MIT
import asyncio

from work import gather

asyncio.run(gather(96, 50, at_once=32))
