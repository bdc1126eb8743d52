# SPDX-License-Identifier: MIT
import asyncio

from work import get_async


async def main():
    for _ in range(40):
        await get_async(25)

asyncio.run(main())
