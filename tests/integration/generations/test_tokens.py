"""Tokens in the queue."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from saq import Queue

from sidecar.generations.queueing import Queueing
from sidecar.identity import uuid7
from sidecar.queues.choose import choose_queue


@pytest.fixture
async def queue(queue_url: str) -> AsyncIterator[Queue]:
    queue = choose_queue(queue_url, "test")
    await queue.connect()
    yield queue
    await queue.disconnect()


async def test_the_token_of_a_killed_process_does_not_swallow_those_of_the_next_one(queue: Queue):
    """The queue takes 15 seconds to be sure that nobody works on it; so long no image shall wait to be kept."""
    generation_id = uuid7()
    await Queueing(turns=queue, images=queue).keep_images(generation_id)
    killed_with = await queue.dequeue(timeout=1)
    await Queueing(turns=queue, images=queue).keep_images(generation_id)
    taken = await queue.dequeue(timeout=1)

    assert killed_with is not None
    assert taken is not None
    assert taken.kwargs == killed_with.kwargs == {"generation_id": str(generation_id)}


async def test_one_process_asks_once_for_what_it_asked_for_already(queue: Queue):
    """The sweeper asks every few seconds for as long as there is something to keep."""
    queueing, generation_id = Queueing(turns=queue, images=queue), uuid7()
    for _ in range(3):
        await queueing.keep_images(generation_id)

    assert await queue.count("queued") == 1
