"""Whose turn it is, and where, on a database: as the dispatcher asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from integration.backends import both_databases

from sidecar.app import Parts
from sidecar.errors import LeadershipLost
from sidecar.generations.models import Generation
from sidecar.generations.turns import AWAITED_AT_MOST_S, look_ahead
from sidecar.identity import now
from sidecar.instances.models import Connection, Instance, Wanted

from .conftest import FIRST, SECOND, show, submit


async def make(idle_parts: Parts, instance_id: UUID, **facts: Any) -> None:
    async with idle_parts.database.writing() as session:
        instance = await session.get_one(Instance, instance_id)
        for name, value in facts.items():
            setattr(instance, name, value)


async def timed_out(idle_parts: Parts, instance_id: UUID, *, before_s: float = 0.0) -> UUID:
    """One that was posted there, and nobody knows whether it arrived."""
    generation_id = await submit(idle_parts)
    async with idle_parts.database.writing() as session:
        generation = await session.get_one(Generation, generation_id)
        generation.instance_id = instance_id
        generation.not_before = now() - timedelta(seconds=before_s)
    return generation_id


async def next_one(idle_parts: Parts) -> tuple[UUID, UUID] | None:
    """What goes where."""
    async with idle_parts.database.reading() as session:
        choice = (await look_ahead(session, idle_parts.catalog.snapshot, at=now())).choice
    return (choice.generation_id, choice.instance_id) if choice else None


@pytest.mark.parametrize(
    "facts",
    [
        {"rests_until": now() + timedelta(hours=1)},
        {"wanted": Wanted.DRAINING.value},
        {"wanted": Wanted.PAUSED.value},
        {"set_aside_at": now()},
    ],
    ids=["rests", "draining", "paused", "set aside"],
)
async def test_what_an_instance_may_have_that_gets_nothing_now_goes_nowhere_else(
    idle_parts: Parts, facts: dict[str, Any]
):
    """It would run twice. Those behind it do not wait with it."""
    await timed_out(idle_parts, FIRST)
    other = await submit(idle_parts)
    await make(idle_parts, FIRST, **facts)

    assert await next_one(idle_parts) == (other, SECOND)


async def test_what_an_instance_may_have_that_is_away_goes_elsewhere(idle_parts: Parts):
    """Nobody can ask it; should it come back with it, it is taken out of it."""
    waiting = await timed_out(idle_parts, FIRST)
    await make(idle_parts, FIRST, state=Connection.AWAY.value)

    assert await next_one(idle_parts) == (waiting, SECOND)


@both_databases
async def test_nobody_waits_for_ever_for_an_instance_that_gets_nothing(idle_parts: Parts):
    """If a paused one had it, it had been seen there long ago."""
    waiting = await timed_out(idle_parts, FIRST, before_s=AWAITED_AT_MOST_S + 1)
    await make(idle_parts, FIRST, wanted=Wanted.PAUSED.value)

    assert await next_one(idle_parts) == (waiting, SECOND)


async def test_what_an_instance_may_have_goes_there_again_when_it_has_rested(idle_parts: Parts):
    """There it runs once, whether it arrived or not."""
    waiting = await timed_out(idle_parts, FIRST)
    await make(idle_parts, FIRST, rests_until=now() - timedelta(seconds=1))

    assert await next_one(idle_parts) == (waiting, FIRST)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_only_the_process_that_leads_takes_turns(idle_parts: Parts):
    """Two that did would send one generation to two ComfyUIs."""
    generation_id = await submit(idle_parts)

    with pytest.raises(LeadershipLost):
        await idle_parts.dispatcher._take_turn()
    assert (await show(idle_parts, generation_id)).state == "pending"
