"""Tokens in the queue, on a real queue file."""

from __future__ import annotations

from pathlib import Path

import pytest
from saq import Queue

from sidecar.generations.queueing import DISPATCH, Queueing
from sidecar.identity import uuid7
from sidecar.queues.sqlite import SqliteQueue


@pytest.fixture
async def queue(tmp_path: Path):
    queue = SqliteQueue(tmp_path / "queue.sqlite3")
    await queue.connect()
    yield queue
    await queue.disconnect()


async def test_the_token_of_a_killed_process_does_not_swallow_those_of_the_next_one(queue: Queue):
    """The queue takes 15 seconds to be sure that nobody works on it; so long no image shall wait to be kept."""
    generation_id = uuid7()
    await Queueing(queue).keep_images(generation_id)
    killed_with = await queue.dequeue(timeout=1)
    await Queueing(queue).keep_images(generation_id)
    taken = await queue.dequeue(timeout=1)

    assert killed_with is not None
    assert taken is not None
    assert taken.kwargs == killed_with.kwargs == {"generation_id": str(generation_id)}


async def test_one_process_asks_once_for_what_it_asked_for_already(queue: Queue):
    """The sweeper asks every few seconds for as long as there is something to keep."""
    queueing, generation_id = Queueing(queue), uuid7()
    for _ in range(3):
        await queueing.keep_images(generation_id)

    assert await queue.count("queued") == 1


async def test_a_turn_goes_before_images_that_waited_longer(queue: Queue):
    """Many images may wait after a restart; nobody's turn waits until all of them are kept."""
    queueing = Queueing(queue)
    for _ in range(5):
        await queueing.keep_images(uuid7())
    await queueing.dispatch(uuid7(), reason="submitted")

    taken = await queue.dequeue(timeout=1)

    assert taken is not None
    assert taken.function == DISPATCH


async def test_images_never_take_all_places_of_the_worker(queue: Queue):
    """Two generations' images are kept at a time, however many wait; the other places are for turns."""
    queueing = Queueing(queue)
    for _ in range(40):
        await queueing.keep_images(uuid7())
    taken = [await queue.dequeue(timeout=0.2) for _ in range(3)]

    assert [job is not None for job in taken] == [True, True, False]
