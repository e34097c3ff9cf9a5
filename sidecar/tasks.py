"""Several things at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_one_ends(*doings: Coroutine[Any, Any, None]) -> None:
    """Do several things at once until the first of them ends or fails; then stop the others and fail as it did."""
    tasks = [asyncio.create_task(doing) for doing in doings]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
