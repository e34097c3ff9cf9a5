"""Tokens in the queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from integration.backends import every_backend
from saq import Queue

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.database import Database
from sidecar.generations.queueing import Queueing
from sidecar.generations.releasing import Releasing
from sidecar.generations.submissions import Request
from sidecar.generations.sweeper import Sweeper
from sidecar.generations.writing import write_generation
from sidecar.identity import now, uuid7
from sidecar.queues.choose import choose_queue

from .conftest import WORKFLOW

pytestmark = every_backend


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
    killed_with = await queue.dequeue(timeout=30)
    await Queueing(turns=queue, images=queue).keep_images(generation_id)
    taken = await queue.dequeue(timeout=30)

    assert killed_with is not None
    assert taken is not None
    assert taken.kwargs == killed_with.kwargs == {"generation_id": str(generation_id)}


async def test_a_token_whose_generation_is_gone_is_taken_out(queue: Queue, database: Database):
    """Also one that is to be tried again later. What has its generation stays, and what is about none."""
    queueing = Queueing(turns=queue, images=queue)
    there = await written(database)
    await queueing.keep_images(uuid7())
    tried = await queue.dequeue(timeout=30)
    assert tried is not None
    tried.retry_delay = 3600.0
    await tried.retry("it failed")
    await queueing.dispatch(uuid7(), reason="gone")
    await queueing.dispatch(there, reason="there")
    await queueing.dispatch(there, reason="later", not_before=now() + timedelta(hours=1))
    await Sweeper(database, lambda: None, queueing, Releasing(database, lambda: None, queueing)).sweep_tokens({})
    left = {generation_id for _, generation_id in await queueing.waiting()}

    assert left == {there}
    assert await queue.count("incomplete") == 2


async def test_however_much_is_held_one_token_is_enough(queue: Queue):
    """Whoever works it off makes the next one; what is held for less long has one of its own."""
    queueing = Queueing(turns=queue, images=queue)
    moment = now() + timedelta(hours=1)
    for second in (0, 1, 2, 2, 3600):
        await queueing.dispatch(uuid7(), reason="held", not_before=moment + timedelta(seconds=second))
    tokens = await queue.count("incomplete")
    for _ in range(2):
        await queueing.dispatch(uuid7(), reason="held", not_before=moment - timedelta(seconds=1))

    assert tokens == 1
    assert await queue.count("incomplete") == 2


async def written(database: Database) -> UUID:
    request = Request(id=uuid7(), owner_id=LOCAL_OWNER_ID, source="api", workflow=WORKFLOW)
    async with database.writing() as session:
        return (await write_generation(session, request, at=now())).id


async def test_one_process_asks_once_for_what_it_asked_for_already(queue: Queue):
    """The sweeper asks every few seconds for as long as there is something to keep."""
    queueing, generation_id = Queueing(turns=queue, images=queue), uuid7()
    for _ in range(3):
        await queueing.keep_images(generation_id)

    assert await queue.count("queued") == 1


async def test_whoever_leads_in_this_process_is_woken_without_a_token(queue: Queue):
    """A token is for another process, or for later: each costs as much as a few statements."""
    woken: list[bool] = []

    def wake(*, leads: bool) -> bool:
        woken.append(leads)
        return leads

    here, elsewhere = (Queueing(turns=queue, images=queue) for _ in range(2))
    here.wake_leader, elsewhere.wake_leader = partial(wake, leads=True), partial(wake, leads=False)
    tokens = []
    for queueing, not_before in ((here, None), (here, now() + timedelta(hours=1)), (elsewhere, None)):
        await queueing.dispatch(uuid7(), reason="admitted", not_before=not_before)
        tokens.append(await queue.count("incomplete"))

    assert woken == [True, False]
    assert tokens == [0, 1, 2]
