# SPDX-License-Identifier: MIT
import asyncio

from work import gather

asyncio.run(gather(40, 25, at_once=20))
