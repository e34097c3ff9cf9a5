"""Those whom a limit holds back come at the first moment at which it lets them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.errors import DatabaseUnavailable
from sidecar.generations.models import Generation, move
from sidecar.generations.shares import Share, let_rest
from sidecar.generations.states import GenerationState
from sidecar.identity import uuid7
from sidecar.limits import plans
from sidecar.limits.ledger import UsageEntry
from sidecar.limits.models import GroupMember, PlanOverride
from sidecar.parts import Parts

from .conftest import Clock, StartParts, add_people, change_plan, submit

SECOND = timedelta(seconds=1)
ADA, BOB = uuid7(), uuid7()


async def held(parts: Parts, clock: Clock, *generations: Generation) -> list[int | None]:
    """After how many seconds from noon each of them comes; None: it waits for nothing but its turn."""
    noon = clock.at.replace(hour=12, minute=0, second=0, microsecond=0)
    async with parts.database.reading() as session:
        rows = [await session.get_one(Generation, each.id) for each in generations]
    moments = [None if row.not_before is None else round((row.not_before - noon) / SECOND) for row in rows]
    return [None if moment is None or noon + moment * SECOND <= clock.at else moment for moment in moments]


async def two_an_hour(parts: Parts, clock: Clock, count: int) -> list[Generation]:
    """The first ten seconds after noon, the next ones in the order in which they may come."""
    await change_plan(parts, "standard", generations_per_hour=2)
    admitted = []
    for _ in range(count):
        admitted.append(await submit(parts))
        clock.at += SECOND * 10
    return admitted


async def test_one_that_is_cancelled_moves_the_others_forward(start: StartParts, clock: Clock):
    """Each into the place of the one before it, in their order. The ledger counts them then, too."""
    async with start("standard") as parts:
        _, _, first, second, third = await two_an_hour(parts, clock, 5)
        before = await held(parts, clock, first, second, third)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, first.id)
        await parts.moving_up.look()

        assert before == [3600, 3610, 7200]
        assert await held(parts, clock, second, third) == [3600, 3610]
        assert await counted_at(parts, second, third) == await moments(parts, second, third)


async def counted_at(parts: Parts, *generations: Generation) -> Sequence[object]:
    async with parts.database.reading() as session:
        return [
            await session.scalar(select(UsageEntry.counted_at).where(UsageEntry.generation_id == each.id))
            for each in generations
        ]


async def moments(parts: Parts, *generations: Generation) -> Sequence[object]:
    async with parts.database.reading() as session:
        return [(await session.get_one(Generation, each.id)).not_before for each in generations]


async def test_what_is_given_back_lets_the_first_one_in_at_once(start: StartParts, clock: Clock):
    """One that had entered is cancelled before it ran: its place is free now."""
    async with start("standard") as parts:
        entered, _, first, second = await two_an_hour(parts, clock, 4)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, entered.id)
        async with parts.database.writing() as session:
            await let_rest(session, [LOCAL_OWNER_ID], at=clock.at - timedelta(days=1))
        await parts.moving_up.look()

        assert await held(parts, clock, first, second) == [None, 3610]
        assert await is_in_line(parts)


async def is_in_line(parts: Parts) -> bool:
    """Does whoever is to be let go wait for their turn?"""
    async with parts.database.reading() as session:
        return (await session.get_one(Share, LOCAL_OWNER_ID)).is_waiting


async def test_a_new_one_keeps_behind_those_that_wait(start: StartParts, clock: Clock):
    """Also while something is free that nobody has looked at yet."""
    async with start("standard") as parts:
        entered, _, first = await two_an_hour(parts, clock, 3)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, entered.id)
        newest = await submit(parts)

        assert newest.waiting_reason is not None
        assert await held(parts, clock, first, newest) == [3600, 3610]


async def test_other_limits_hold_for_what_waits_already(start: StartParts, clock: Clock):
    """More lets them in at once; less makes them wait for longer."""
    async with start("standard") as parts:
        _, _, first, second = await two_an_hour(parts, clock, 4)
        await change_plan(parts, "standard", generations_per_hour=3)
        await parts.moving_up.look()
        with_three = await held(parts, clock, first, second)
        await change_plan(parts, "standard", generations_per_hour=1)
        await parts.moving_up.look()

        assert with_three == [None, 3600]
        assert (await held(parts, clock, second))[0] == 3640  # an hour after the first of them was let in


async def test_whom_an_override_held_back_comes_when_it_is_over(
    start: StartParts, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    """Nobody says so at that moment: it ends by itself, and is looked for."""
    monkeypatch.setattr(plans, "now", clock)
    async with start("standard") as parts:
        await change_plan(parts, "standard", generations_per_hour=2)
        known = {"user_id": LOCAL_OWNER_ID, "limits": {"generations_per_hour": 1}, "reason": ""}
        async with parts.database.writing() as session:
            ends = clock.at + SECOND * 60
            session.add(PlanOverride(id=uuid7(), expires_at=ends, created_at=clock(), **known))
        await submit(parts)
        waits = await submit(parts)
        await parts.plans.look()
        await parts.moving_up.look()
        before = await held(parts, clock, waits)
        clock.at += SECOND * 60
        await parts.plans.look()
        await parts.moving_up.look()

        assert before == [3600]
        assert await held(parts, clock, waits) == [None]


async def test_in_a_group_whoever_waits_gets_what_another_one_gives_back(start: StartParts, clock: Clock):
    """The budget is theirs together."""
    async with start(GENONAUT_ACCESS="accounts") as parts:
        await add_people(parts, ADA, BOB, plan="standard", group={"generations_per_hour": 2})
        adas = await submit(parts, ADA)
        await submit(parts, BOB)
        bobs = await submit(parts, BOB)
        before = await held(parts, clock, bobs)
        await parts.dispatcher.cancel(ADA, adas.id)
        await parts.moving_up.look()

        assert before == [3600]
        assert await held(parts, clock, bobs) == [None]


async def test_what_waits_when_somebody_leaves_a_group_takes_nothing_of_its_budget(start: StartParts, clock: Clock):
    """It was not made yet; the others have that room. What was made while they were in it stays counted."""
    async with start(GENONAUT_ACCESS="accounts") as parts:
        await add_people(parts, ADA, BOB, plan="standard", group={"generations_per_hour": 1})
        await submit(parts, ADA)
        waits = await submit(parts, ADA)
        async with parts.database.reading() as session:
            group_id = (await session.scalars(select(GroupMember.group_id).distinct())).one()
        clock.at += SECOND * 10
        await parts.groups.remove(group_id, ADA, COMMAND_LINE)
        await parts.moving_up.look()
        bobs = await submit(parts, BOB)

        assert await held(parts, clock, waits, bobs) == [None, 3600]


async def test_what_waits_for_another_try_is_left_alone(start: StartParts, clock: Clock):
    """It was counted when it entered, and nothing that is given back makes its ComfyUI come back sooner."""
    async with start("standard") as parts:
        entered, tried, _ = await two_an_hour(parts, clock, 3)
        async with parts.database.writing() as session:
            generation = await session.get_one(Generation, tried.id)
            for state in (GenerationState.SUBMITTED, GenerationState.PENDING):
                move(session, generation, state, at=clock())
            generation.not_before = clock.at + SECOND * 40
        before = await moments(parts, tried)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, entered.id)
        await parts.moving_up.look()

        assert await moments(parts, tried) == before


async def test_nobody_is_reckoned_anew_for_whom_nothing_is_different(
    start: StartParts, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    """What was given back is looked at once, however often somebody looks."""
    async with start("standard") as parts:
        entered, _, _ = await two_an_hour(parts, clock, 3)
        reckoned: list[Sequence[UUID]] = []

        async def reckon(people: Sequence[UUID]) -> None:
            reckoned.append(people)

        monkeypatch.setattr(parts.moving_up, "_reckon_anew", reckon)
        await parts.moving_up.look()
        reckoned.clear()
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, entered.id)
        for _ in range(3):
            await parts.moving_up.look()

        assert reckoned == [[LOCAL_OWNER_ID]]


async def test_what_was_given_back_is_not_forgotten_when_the_database_is_away(
    start: StartParts, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    """In the moment in which it is to be reckoned anew. The next look does it."""
    async with start("standard") as parts:
        entered, _, first = await two_an_hour(parts, clock, 3)
        await parts.moving_up.look()
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, entered.id)

        async def away(_people: Sequence[UUID]) -> None:
            raise DatabaseUnavailable

        with monkeypatch.context() as patched:
            patched.setattr(parts.moving_up, "_reckon_anew", away)
            with pytest.raises(DatabaseUnavailable):
                await parts.moving_up.look()
        await parts.moving_up.look()

        assert await held(parts, clock, first) == [None]


async def test_after_a_restart_everybody_who_waits_is_reckoned_anew(start: StartParts, clock: Clock):
    """Something may have been given back while nobody led."""
    async with start("standard") as parts:
        entered, _, first = await two_an_hour(parts, clock, 3)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, entered.id)
    async with start("standard") as parts:
        parts.moving_up.begin()
        await parts.moving_up.look()

        assert await held(parts, clock, first) == [None]
