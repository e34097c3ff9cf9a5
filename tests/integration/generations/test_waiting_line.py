"""What a process knows of everybody who waits, while they come and go in this one and in others."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import pytest
from fakes.people import somebody
from integration.backends import both_databases
from sqlalchemy import select

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.cluster.postgresql import ElectedLeadership
from sidecar.generations import waiting_line
from sidecar.generations.models import Generation, is_pending
from sidecar.generations.places import Places
from sidecar.generations.submissions import Request
from sidecar.generations.turn_order import InLine
from sidecar.generations.waiting_line import WaitingLine
from sidecar.identity import now, uuid7
from sidecar.limits.schemas import LimitsPatch, NewOverride
from sidecar.parts import Parts

from .conftest import WORKFLOW, loading
from .taking_turns import end, next_turn

PEOPLE = [UUID(int=number) for number in range(101, 113)]


@pytest.fixture
async def parts(idle_parts: Parts) -> Parts:
    """With a dozen people."""
    async with idle_parts.database.writing() as session:
        session.add_all(somebody(person) for person in PEOPLE)
    if isinstance(idle_parts.leadership, ElectedLeadership):
        await idle_parts.leadership._begin()
    return idle_parts


async def submit(parts: Parts, person: UUID, checkpoint: str = "") -> UUID:
    workflow = loading(checkpoint) if checkpoint else WORKFLOW
    request = Request(id=uuid7(), owner_id=person, source="page", workflow=workflow)
    return (await parts.admission.admit(request)).id


async def do_something(parts: Parts, chance: random.Random) -> None:
    """Whatever may change the line; by another process, for all that a line knows."""
    async with parts.database.reading() as session:
        waiting = list(await session.scalars(select(Generation).where(is_pending())))
    what = chance.choice(("submit", "submit", "submit", "go", "cancel", "hold"))
    if what == "submit" or not waiting:
        await submit(parts, chance.choice(PEOPLE), chance.choice(("", "a.safetensors")))
    elif what == "go":
        went = await next_turn(parts)
        if went is not None:
            await end(parts, went, seconds=chance.choice((None, 1.0, 30.0)))
    elif what == "cancel":
        one = chance.choice(waiting)
        await parts.dispatcher.cancel(one.owner_id, one.id)
    else:
        await hold(parts, chance.choice(waiting).id)


async def hold(parts: Parts, generation_id: UUID) -> None:
    """Until a moment that has come by now: nothing is written of that."""
    async with parts.database.writing() as session:
        generation = await session.get_one(Generation, generation_id)
        generation.not_before = now() - timedelta(milliseconds=1)


def people_in(line: WaitingLine) -> dict[UUID, InLine]:
    """Who waits for something. Whoever waits for nothing any more may still stand there, and takes no place."""
    order = line.snapshot.order
    return {person: one for person in order.besides(()) if (one := order.get(person)) is not None and one.count}


async def read_wholly(line: WaitingLine) -> None:
    while await line.step():
        pass


@both_databases
async def test_news_alone_keeps_it_true(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    """However it changed, whoever changed it: as if everybody were read anew, though hardly anybody is."""
    kept, chance = WaitingLine(parts.database, parts.plans), random.Random(11)
    await read_wholly(kept)
    monkeypatch.setattr(waiting_line, "READ_AT_ONCE", 1)
    monkeypatch.setattr(waiting_line, "PAGES_IN_A_STEP", 0)
    for _ in range(8):
        for _ in range(5):
            await do_something(parts, chance)
        await kept.step()
        with monkeypatch.context() as all_at_once:
            all_at_once.setattr(waiting_line, "PAGES_IN_A_STEP", 100)
            anew = WaitingLine(parts.database, parts.plans)
            await read_wholly(anew)

        assert people_in(kept) == people_in(anew)


async def test_whatever_nothing_was_written_of_is_found_in_time(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    """Everybody is read anew, one after the other; whoever waits no more is found to be gone."""
    for person in PEOPLE:
        await submit(parts, person)
    kept = WaitingLine(parts.database, parts.plans)
    await read_wholly(kept)
    monkeypatch.setattr(waiting_line, "READ_AT_ONCE", 2)
    monkeypatch.setattr(waiting_line, "PAGES_IN_A_STEP", 1)
    monkeypatch.setattr(waiting_line.News, "read", nothing_new)
    async with parts.database.writing() as session:
        for gone in await session.scalars(select(Generation).where(Generation.person_id.in_(PEOPLE[::3]))):
            gone.state = "cancelled"
    after_one = (await kept.step(), len(people_in(kept)))
    for _ in PEOPLE:
        await kept.step()

    assert after_one == (False, len(PEOPLE) - 1)
    assert people_in(kept).keys() == set(PEOPLE) - set(PEOPLE[::3])


async def nothing_new(*_: object, **__: object) -> tuple[set[UUID], bool]:
    return set(), False


async def test_other_limits_are_heard_of(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    """With twice their weight one's turns come twice as often: what is told of places follows."""
    kept = WaitingLine(parts.database, parts.plans)
    await submit(parts, PEOPLE[0])
    await read_wholly(kept)
    cost = people_in(kept)[PEOPLE[0]].cost
    monkeypatch.setattr(waiting_line, "PAGES_IN_A_STEP", 0)
    await parts.overrides.make(PEOPLE[0], NewOverride(LimitsPatch(weight=8.0)), COMMAND_LINE)
    await kept.step()

    assert people_in(kept)[PEOPLE[0]].cost == cost // 2


async def test_who_asks_waits_for_one_step_and_not_for_everybody(parts: Parts, monkeypatch: pytest.MonkeyPatch):
    """The first of the line are known then; of all others a process knows when it has read them."""
    for person in PEOPLE:
        await submit(parts, person)
    monkeypatch.setattr(waiting_line, "READ_AT_ONCE", 2)
    monkeypatch.setattr(waiting_line, "PAGES_IN_A_STEP", 1)
    monkeypatch.setattr(waiting_line.News, "read", nothing_new)
    places = Places(parts.database, parts.plans)
    await places.catch_up()
    known = len(people_in(places._line))
    assert places._looking is not None
    await places._looking

    assert known == 2
    assert len(people_in(places._line)) == len(PEOPLE)
