"""Time that is hurried."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from fakes.hurried_time import WATCHED, HurriedClock, HurriedLoop


async def look(*, times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(60)


def test_hours_pass_in_no_time_and_who_was_woken_is_known() -> None:
    """
    Of those that were started while it was watched.
    """
    woken: Counter[str] = Counter()
    loop = HurriedLoop(HurriedClock())

    async def pass_the_time() -> None:
        unseen = asyncio.create_task(look(times=60))
        WATCHED.set(True)
        with loop.hurried(1_000_000, woken):
            await asyncio.gather(unseen, look(times=3))

    began, shown = time.monotonic(), loop.time()
    loop.run_until_complete(pass_the_time())
    passed, seemed = time.monotonic() - began, loop.time() - shown
    loop.close()

    assert woken == {"look": 3}
    assert passed < 60 < 3600 <= seemed
