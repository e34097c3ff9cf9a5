"""Several things at once, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

CANCEL_AGAIN_AFTER_S = 1.0


async def until_one_ends(*doings: Coroutine[Any, Any, None]) -> None:
    """Do several things at once until the first of them ends or fails; then stop the others and fail as it did."""
    tasks = [asyncio.create_task(doing) for doing in doings]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        await end(*tasks)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """
    Cancel tasks, wait until they have ended, and leave alone how they did.

    More than once where that does not help: before Python 3.12 `asyncio.wait_for` swallows a cancellation that comes
    in the same moment as what was waited for, and drivers of databases have such moments, too.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_AFTER_S)
    await asyncio.gather(*tasks, return_exceptions=True)
