"""Whoever listens hears where in the line stands what they wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest
from fakes.people import somebody

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.generations import places
from sidecar.generations import waiting_telling as module
from sidecar.generations.schemas import WaitingEvent
from sidecar.generations.submissions import Request
from sidecar.identity import uuid7
from sidecar.limits.reasons import paused
from sidecar.live_events import Listener
from sidecar.operations.schemas import QueuePatch
from sidecar.parts import Parts
from sidecar.tasks import end

from .conftest import WORKFLOW

ADA, BOB = UUID(int=11), UUID(int=12)

Submit = Callable[..., Awaitable[list[UUID]]]


@pytest.fixture
async def telling(idle_parts: Parts, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """It tells as soon as it can."""
    monkeypatch.setattr(module, "AT_MOST_EVERY_S", 0.0)
    monkeypatch.setattr(module, "TELLING_IS_ONE_IN", 1)
    monkeypatch.setattr(places, "LOOK_AT_MOST_EVERY_S", 0.0)
    monkeypatch.setattr(places, "LOOKING_IS_ONE_IN", 0)
    running = asyncio.create_task(idle_parts.waiting_telling.run())
    yield
    await end(running)


@pytest.fixture
async def submit(idle_parts: Parts, telling: None) -> Submit:
    async with idle_parts.database.writing() as session:
        session.add_all(somebody(person) for person in (ADA, BOB))

    async def submit(person: UUID, count: int = 1, *, address: str | None = None) -> list[UUID]:
        requests = [Request(id=uuid7(), owner_id=person, source="page", workflow=WORKFLOW) for _ in range(count)]
        for request in requests:
            await idle_parts.admission.admit(request, address=address)
        return [request.id for request in requests]

    return submit


async def heard(listener: Listener, holds: Callable[[WaitingEvent], bool] = lambda _event: True) -> WaitingEvent:
    """The next event about what waits of which this is true."""
    while True:
        event = await asyncio.wait_for(listener.queue.get(), 30)
        if event is not None and event.name == "waiting" and holds(event.data):
            assert isinstance(event.data, WaitingEvent)
            return event.data


def places_in(event: WaitingEvent) -> list[int]:
    return [item.place for item in event.items]


async def test_it_is_told_when_only_the_line_ahead_has_moved(idle_parts: Parts, submit: Submit):
    """Somebody else came, or took theirs back; nothing of one's own has changed."""
    adas = await submit(ADA)
    with idle_parts.live_events.listening(BOB) as listener:
        bobs = await submit(BOB, 2)
        behind_ada = await heard(listener, lambda event: places_in(event) == [1, 2])
        await idle_parts.dispatcher.cancel(ADA, adas[0])
        first = await heard(listener, lambda event: places_in(event) == [0, 1])

    assert [item.id for item in first.items] == bobs
    assert (behind_ada.count, first.count) == (2, 2)
    assert [item.waiting.reason.code for item in first.items] == ["next", "turns"]


async def test_it_is_told_when_the_queue_is_paused_and_when_nothing_waits_any_more(idle_parts: Parts, submit: Submit):
    """Once each."""
    with idle_parts.live_events.listening(ADA) as listener:
        (generation_id,) = await submit(ADA)
        await heard(listener)
        await idle_parts.queue_desk.change(QueuePatch(paused=True, reason="We change the disks."), COMMAND_LINE)
        told = await heard(listener, lambda event: event.items[0].waiting.starts_at is None)
        await idle_parts.dispatcher.cancel(ADA, generation_id)
        last = await heard(listener, lambda event: not event.items)

    assert told.items[0].waiting.reason == paused("We change the disks.")
    assert last == WaitingEvent([], 0)


async def test_the_stream_of_one_generation_tells_of_this_one(
    idle_parts: Parts, submit: Submit, monkeypatch: pytest.MonkeyPatch
):
    """Also when it stands behind those that are told to everybody."""
    monkeypatch.setattr(module, "TOLD_AT_MOST", 2)
    mine = await submit(ADA, 4)
    listening = idle_parts.live_events.listening
    with listening(ADA) as everything, listening(ADA, mine[1]) as one, listening(ADA, mine[3]) as last:
        idle_parts.places.changed()
        told = [await heard(listener) for listener in (everything, one, last)]

    assert [[item.id for item in event.items] for event in told] == [mine[:2], [mine[1]], [mine[3]]]
    assert [places_in(event) for event in told] == [[0, 1], [1], [3]]
    assert [event.count for event in told] == [4, 4, 4]


async def test_where_nobody_logs_in_each_hears_of_their_own(idle_parts: Parts, submit: Submit):
    """Whoever asks from another address has turns of their own."""
    address = "192.0.2.7"
    listening = idle_parts.live_events.listening
    with listening(LOCAL_OWNER_ID) as here, listening(LOCAL_OWNER_ID, address=address) as there:
        (local,) = await submit(LOCAL_OWNER_ID)
        (other,) = await submit(LOCAL_OWNER_ID, address=address)
        told = [await heard(listener) for listener in (here, there)]

    assert [[item.id for item in event.items] for event in told] == [[local], [other]]


async def test_nothing_is_worked_out_for_who_does_not_listen_or_waits_for_nothing(
    idle_parts: Parts, submit: Submit, monkeypatch: pytest.MonkeyPatch
):
    """However often the line moves."""
    asked: list[UUID] = []
    of_first = idle_parts.places.of_first
    read = idle_parts.waiting_telling._read
    reads: list[UUID] = []

    async def counted(session, held):
        asked.extend(one.person_id for one in held)
        return await of_first(session, held)

    async def counted_read(session, whom, streams):
        reads.append(whom[0])
        return await read(session, whom, streams)

    monkeypatch.setattr(idle_parts.places, "of_first", counted)
    monkeypatch.setattr(idle_parts.waiting_telling, "_read", counted_read)
    await submit(ADA)
    listening = idle_parts.live_events.listening
    with listening(BOB), listening(LOCAL_OWNER_ID) as local:
        await submit(LOCAL_OWNER_ID)
        await heard(local)
        reads.clear()
        await submit(ADA, 2)
        await submit(LOCAL_OWNER_ID)
        await heard(local, lambda event: event.count == 2)

    assert set(asked) == {LOCAL_OWNER_ID}
    assert BOB not in reads
