"""Turns between people on a database: as the dispatcher takes them, and whatever dies in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic
from uuid import UUID

import pytest
from fakes.people import somebody
from integration.backends import both_databases
from sqlalchemy import delete, func, select, update

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.cluster.postgresql import ElectedLeadership
from sidecar.generations import fair_shares, shares
from sidecar.generations.models import Generation
from sidecar.generations.releasing import Releasing
from sidecar.generations.shares import Crowd, Share, begin_waiting
from sidecar.generations.submissions import Request
from sidecar.generations.sweeper import Sweeper
from sidecar.identity import now, uuid7
from sidecar.instances.models import Instance, Wanted
from sidecar.limits.estimate import learn
from sidecar.limits.models import Plan
from sidecar.limits.paces import Sample
from sidecar.operations.schemas import QueuePatch
from sidecar.parts import Parts
from sidecar.quota.accuracy import accuracy

from .conftest import FIRST, SECOND, WORKFLOW, loading, show
from .taking_turns import ADA, BOB, CLO, end, next_turn, turns

Submit = Callable[..., Awaitable[list[UUID]]]


@pytest.fixture
async def people(idle_parts: Parts) -> None:
    async with idle_parts.database.writing() as session:
        session.add_all(somebody(person) for person in (ADA, BOB, CLO))
        await session.execute(update(Instance).where(Instance.id == SECOND).values(wanted=Wanted.PAUSED.value))
    if isinstance(idle_parts.leadership, ElectedLeadership):
        await idle_parts.leadership._begin()


@pytest.fixture
def submit(idle_parts: Parts, people: None) -> Submit:
    del people

    async def submit(person: UUID, count: int = 1, **said: object) -> list[UUID]:
        requests = [
            Request(**{"id": uuid7(), "owner_id": person, "source": "page", "workflow": WORKFLOW, **said})  # type: ignore[arg-type]
            for _ in range(count)
        ]
        for request in requests:
            await idle_parts.admission.admit(request)
        return [request.id for request in requests]

    return submit


async def share_of(parts: Parts, person: UUID) -> Share:
    async with parts.database.reading() as session:
        return await session.get_one(Share, person)


@both_databases
async def test_who_comes_later_with_one_is_next(idle_parts: Parts, submit: Submit):
    """However many somebody else waits for."""
    many = await submit(ADA, 6)
    went = await turns(idle_parts, 3)
    (one,) = await submit(BOB)

    assert went == many[:3]
    assert (await show_of(idle_parts, BOB, one)).place == 0
    assert await turns(idle_parts, 3) == [one, *many[3:5]]


async def show_of(parts: Parts, person: UUID, generation_id: UUID):
    return await parts.history.show(person, generation_id)


async def test_turns_are_counted_in_seconds(idle_parts: Parts, submit: Submit):
    """Whoever makes large images has fewer turns: what they took counts, whatever was expected."""
    large, small = set(await submit(ADA, 9)), set(await submit(BOB, 9))
    went = []
    for _ in range(9):
        generation_id = await next_turn(idle_parts)
        assert generation_id is not None
        went.append(generation_id)
        await end(idle_parts, generation_id, seconds=20.0 if generation_id in large else 5.0)

    assert [len(large.intersection(went)), len(small.intersection(went))] == [2, 7]


@both_databases
async def test_of_ones_own_the_page_goes_first_and_a_batch_when_nothing_else_waits(idle_parts: Parts, submit: Submit):
    """Priorities put one's own in order; what somebody else waits for has its turn all the same."""
    batch = await submit(ADA, 3, source="api", priority=-10)
    page = await submit(ADA, 2)
    (others,) = await submit(BOB, priority=-100)
    (urgent,) = await submit(ADA, priority=100)
    (front,) = await submit(ADA, front=True)
    await idle_parts.places.catch_up()
    async with idle_parts.database.reading() as session:
        told = [UUID(entry["id"]) for entry in (await idle_parts.places.held(session))["held"]]

    expected = [front, others, urgent, *page, *batch]
    assert told == expected
    assert await turns(idle_parts, 8) == expected


@both_databases
async def test_what_never_ran_counts_nothing(idle_parts: Parts, submit: Submit):
    """One that was lost or failed on its way is squared by the sweeper."""
    (lost,) = await submit(ADA)
    before = (await share_of(idle_parts, ADA)).tag
    await next_turn(idle_parts)
    charged = (await share_of(idle_parts, ADA)).tag
    await end(idle_parts, lost, seconds=None)
    await sweep(idle_parts)

    assert charged > before
    assert (await share_of(idle_parts, ADA)).tag == before


async def sweep(parts: Parts) -> None:
    await sweeper_of(parts).sweep_generations(None)


def sweeper_of(parts: Parts) -> Sweeper:
    releasing = Releasing(parts.database, lambda: None, parts.queueing)
    return Sweeper(parts.database, lambda: None, parts.queueing, releasing)


@both_databases
async def test_who_waits_is_found_anew(idle_parts: Parts, submit: Submit):
    """Of the generations, whatever was lost: tags cost nobody more than a turn."""
    waiting = await submit(ADA, 2)
    async with idle_parts.database.writing() as session:
        await session.execute(delete(Share))
    lost = await next_turn(idle_parts)
    await sweep(idle_parts)

    assert lost is None
    assert await turns(idle_parts, 2) == waiting


async def test_who_has_nothing_that_may_go_leaves_the_line(idle_parts: Parts, submit: Submit):
    """After the last turn, after the last one was cancelled, and until a moment has come."""
    (first,) = await submit(ADA)
    (cancelled,) = await submit(BOB)
    (later,) = await submit(CLO)
    await idle_parts.dispatcher.cancel(BOB, cancelled)
    await hold(idle_parts, later, until_s=3600.0)
    went = [await next_turn(idle_parts), await next_turn(idle_parts)]

    assert went == [first, None]
    assert not any([(await share_of(idle_parts, person)).is_waiting for person in (ADA, BOB, CLO)])


async def hold(parts: Parts, generation_id: UUID, *, until_s: float) -> None:
    async with parts.database.writing() as session:
        generation = await session.get_one(Generation, generation_id)
        generation.not_before = now() + timedelta(seconds=until_s)


async def test_who_is_held_joins_the_line_when_the_moment_has_come(idle_parts: Parts, submit: Submit):
    """With the time that it is then: to be held back by a limit saves up no turns."""
    (later,) = await submit(CLO)
    await hold(idle_parts, later, until_s=3600.0)
    many = await submit(ADA, 5)
    await turns(idle_parts, 3)
    await hold(idle_parts, later, until_s=-1.0)

    assert await turns(idle_parts, 3) == [later, *many[3:]]


async def test_nobody_has_more_running_than_their_plan_allows(idle_parts: Parts, submit: Submit):
    """On one ComfyUI at once: another one's free place is for others."""
    async with idle_parts.database.writing() as session:
        await session.execute(update(Instance).values(wanted=Wanted.ACTIVE.value))
        await session.execute(update(Plan).values(running_at_once=1))
    await submit(ADA, 6)
    (other,) = await submit(BOB)
    async with idle_parts.database.reading() as session:
        generations = select(Generation.person_id, func.count(Generation.instance_id.distinct()))
        for _ in range(4):
            await next_turn(idle_parts)
        there = dict((await session.execute(generations.group_by(Generation.person_id))).tuples().all())

    assert there == {ADA: 1, BOB: 1}
    assert (await show_of(idle_parts, BOB, other)).state == "submitted"


async def test_nothing_goes_while_the_queue_is_paused(idle_parts: Parts, submit: Submit):
    """Not even what was chosen a moment before. Everybody is told why."""
    (waiting,) = await submit(ADA)
    chosen = (await idle_parts.turn_giver.look()).choices
    await idle_parts.queue_desk.change(QueuePatch(paused=True, reason="We change the disks until noon."), COMMAND_LINE)
    taken = await idle_parts.turn_giver.give(chosen[0])
    looked = await idle_parts.turn_giver.look()
    told = await show_of(idle_parts, ADA, waiting)
    resumed = await idle_parts.queue_desk.change(QueuePatch(paused=False), COMMAND_LINE)

    assert (taken, looked.choices) == (None, ())
    assert told.waiting is not None
    assert told.waiting.why == "The queue is paused: We change the disks until noon."
    assert (resumed.paused, resumed.waiting) == (False, 1)
    assert await next_turn(idle_parts) == waiting


async def test_everybody_is_told_how_many_are_before_them(idle_parts: Parts, submit: Submit):
    """Their own and others', as the line stands."""
    await submit(ADA, 3)
    await submit(BOB, 2)
    *_, last = await submit(CLO, 2)
    waiting = (await show_of(idle_parts, CLO, last)).waiting

    assert waiting is not None
    assert (waiting.own_before, waiting.others_before, waiting.people_before) == (1, 4, 2)
    assert waiting.why == "Turns are shared: 1 of your own and 4 of 2 other people will run before it."


async def test_who_waits_is_told_when_it_will_probably_begin(idle_parts: Parts, submit: Submit):
    """After all that runs before it, of whomever; longer, where it was not as expected."""
    async with idle_parts.database.writing() as session:
        for work in (1.0, 100.0) * 10:
            await learn(session, FIRST, "", Sample(work, 6.0))
    await submit(BOB, 2)
    *_, last = await submit(ADA, 3)
    waiting = (await show_of(idle_parts, ADA, last)).waiting

    assert waiting is not None
    assert waiting.starts_at is not None
    assert 20 < (waiting.starts_at.likely - now()).total_seconds() <= 25
    assert waiting.starts_at.earliest < waiting.starts_at.likely < waiting.starts_at.latest


async def test_what_is_told_is_what_happens(idle_parts: Parts, submit: Submit, monkeypatch: pytest.MonkeyPatch):
    """
    The order in ComfyUI's queue panel, and every place: checkpoints that take longer have fewer turns. Only who lets
    others pass for a loaded checkpoint, nobody knows beforehand.
    """
    monkeypatch.setattr(fair_shares, "WARM_AT_MOST_S", 0.0)
    async with idle_parts.database.writing() as session:
        for checkpoint, mean_s in (("slow.safetensors", 9.1), ("fast.safetensors", 2.3)):
            for work in (1.0, 100.0) * 10:
                await learn(session, FIRST, checkpoint, Sample(work, mean_s))
    of = {
        generation_id: person
        for person, count, checkpoint in ((ADA, 4, "slow.safetensors"), (BOB, 8, "fast.safetensors"), (CLO, 3, ""))
        for generation_id in await submit(person, count, workflow=loading(checkpoint) if checkpoint else WORKFLOW)
    }
    seconds = {ADA: 9.1, BOB: 2.3, CLO: 5.7}
    await idle_parts.places.catch_up()
    async with idle_parts.database.reading() as session:
        told = [UUID(entry["id"]) for entry in (await idle_parts.places.held(session))["held"]]
    places = {one: (await show_of(idle_parts, person, one)).place for one, person in of.items()}
    went: list[UUID] = []
    for _ in of:
        went += await turns(idle_parts, 1, seconds=seconds[of[told[len(went)]]])

    assert sorted(places, key=lambda one: places[one] or 0) == told
    assert sorted(places.values(), key=lambda place: place or 0) == list(range(15))
    assert went == told


@both_databases
async def test_a_page_of_ones_own_has_its_places(idle_parts: Parts, submit: Submit):
    """Counted from the first of them, whatever priorities they have."""
    batch = await submit(ADA, 3, priority=-10)
    page = await submit(ADA, 3)
    await submit(BOB, 2)
    found = await idle_parts.history.page(ADA, limit=10)

    place_of = {view.id: view.waiting.own_before for view in found.items if view.waiting is not None}
    assert place_of == {one: place for place, one in enumerate([*page, *batch])}


async def test_how_many_wait_is_counted_seldom_where_they_are_many(
    idle_parts: Parts, submit: Submit, monkeypatch: pytest.MonkeyPatch
):
    """A choice looks at those whose turn it is, however many wait; of few the number is exact."""
    crowd = Crowd()

    async def count() -> int:
        async with idle_parts.database.reading() as session:
            return await crowd.count(session)

    monkeypatch.setattr(shares, "COUNTED_SELDOM_FROM", 2)
    for person in (ADA, BOB, CLO):
        await submit(person)
    counted = [await count()]
    await turns(idle_parts, 2)
    counted.append(await count())
    monkeypatch.setattr(shares, "monotonic", lambda: monotonic() + shares.COUNTED_AGAIN_AFTER_S)
    counted.append(await count())
    await turns(idle_parts, 1)
    counted.append(await count())

    assert counted == [3, 3, 1, 0]


async def test_a_share_that_says_nothing_is_forgotten(idle_parts: Parts, submit: Submit):
    """Addresses change every day: what they left behind must not stay for ever."""
    await submit(ADA)
    await turns(idle_parts, 1)
    async with idle_parts.database.writing() as session:
        await session.execute(update(Instance).values(virtual_time=10**12))
        await begin_waiting(session, [BOB], at=now())
    await sweeper_of(idle_parts).forget_shares(None)

    async with idle_parts.database.reading() as session:
        assert list(await session.scalars(select(Share.person_id))) == [BOB]


async def test_the_local_owner_has_a_plan_too(idle_parts: Parts, submit: Submit):
    """In open access everybody has the same weight."""
    await submit(LOCAL_OWNER_ID)
    await next_turn(idle_parts)

    assert (await share_of(idle_parts, LOCAL_OWNER_ID)).weight == 4.0
    assert (await show(idle_parts, (await all_of(idle_parts))[0])).state == "submitted"


async def all_of(parts: Parts) -> list[UUID]:
    async with parts.database.reading() as session:
        return list(await session.scalars(select(Generation.id)))


@both_databases
async def test_how_right_the_estimates_were_is_told(idle_parts: Parts, submit: Submit):
    """What they took, of what was reserved for them; what was lost says nothing of it."""
    await submit(ADA, 4)
    for seconds in (12.0, 12.0, 20.0, None):
        generation_id = await next_turn(idle_parts)
        assert generation_id is not None
        await end(idle_parts, generation_id, seconds=seconds)
    (found,) = (await accuracy(idle_parts.database)).items

    assert (found.count, found.median_ratio, found.near) == (3, 1.2, 0.667)
