"""Tasks that are ended."""

from __future__ import annotations

import asyncio
import contextlib

from sidecar.tasks import end


async def test_a_task_that_swallows_a_cancellation_ends_all_the_same() -> None:
    """
    As `asyncio.wait_for` does before Python 3.12 when what it waits for happens in the same moment.
    """
    swallowed = asyncio.Event()

    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        swallowed.set()
        await asyncio.sleep(3600)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)

    await end(task)

    assert swallowed.is_set()
    assert task.cancelled()


async def test_how_a_task_had_ended_is_left_alone() -> None:
    """
    Whoever stops everything is not stopped by what failed before.
    """

    async def failing() -> None:
        raise ValueError

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)

    await end(task)

    assert isinstance(task.exception(), ValueError)
