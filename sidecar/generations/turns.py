"""Whose turn is it, and where? For now: first come, first served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.choice import Choice, Seat, Wish, choose
from sidecar.generations.in_flight import count_in_flight
from sidecar.generations.models import Generation
from sidecar.generations.states import GenerationState
from sidecar.instances.models import Instance
from sidecar.instances.standing import may_get_work, may_get_work_later

IN_FLIGHT_AT_MOST = 2  # the one that runs, and one fed ahead so that the GPU never waits
LOOKED_AHEAD_AT_MOST = 20
HELD_TOLD_AT_MOST = 1000


@dataclass(frozen=True)
class Turn:
    """A generation that may go to an instance now."""

    generation: Generation
    instance: Instance


async def next_turn(session: AsyncSession, *, at: datetime) -> Turn | None:
    """What may go where now; None when every place is taken or nothing waits."""
    choice = await next_choice(session, at=at)
    if choice is None:
        return None
    return Turn(
        await session.get_one(Generation, choice.generation_id), await session.get_one(Instance, choice.instance_id)
    )


async def next_choice(session: AsyncSession, *, at: datetime) -> Choice | None:
    """The same by their ids. Asked after everything that happens, so it reads no more than it takes to choose."""
    wanted = await session.execute(select(Instance.id, Instance.checkpoint, Instance.failures).where(may_get_work(at)))
    instances = wanted.all()
    if not instances:
        return None
    taken = await count_in_flight(session)
    seats = [to_seat(instance, taken.get(instance.id, 0)) for instance in instances]
    if not any(seat.places for seat in seats):
        return None
    return choose(await first_wishes(session, at=at), seats)


async def shortest_rest_s(session: AsyncSession, *, at: datetime) -> float | None:
    """How long it takes until one of the instances that rest may have work again; None when none does."""
    rested_at = await session.scalar(select(func.min(Instance.rests_until)).where(may_get_work_later(at)))
    return (rested_at - at).total_seconds() if rested_at else None


async def first_wishes(session: AsyncSession, *, at: datetime) -> list[Wish]:
    """Those whose turn is next, in the order of turns."""
    query = (
        select(Generation.id, Generation.checkpoint, Generation.instance_id)
        .where(
            Generation.state == GenerationState.PENDING.value,
            or_(Generation.not_before.is_(None), Generation.not_before <= at),
        )
        .order_by(Generation.number)
        .limit(LOOKED_AHEAD_AT_MOST)
    )
    return [
        Wish(generation_id=row.id, checkpoint=row.checkpoint, may_be_at=row.instance_id)
        for row in await session.execute(query)
    ]


def to_seat(instance: Row[Any], in_flight: int) -> Seat:
    return Seat(
        instance_id=instance.id,
        places=max(IN_FLIGHT_AT_MOST - in_flight, 0),
        in_flight=in_flight,
        checkpoint=instance.checkpoint,
        failures=instance.failures,
    )


async def places(session: AsyncSession, numbers: list[int]) -> dict[int, int]:
    """How many held generations run before each of these (given by their numbers)."""
    if not numbers:
        return {}
    first, last = min(numbers), max(numbers)
    pending = Generation.state == GenerationState.PENDING.value
    ahead = await session.scalar(select(func.count()).where(pending, Generation.number < first)) or 0
    if first == last:
        return {first: ahead}
    between = select(Generation.number).where(pending, Generation.number.between(first, last))
    ordered = await session.scalars(between.order_by(Generation.number))
    return {number: place for place, number in enumerate(ordered, start=ahead)}


async def held(session: AsyncSession) -> dict[str, Any]:
    """What ComfyUI's own queue panel shall show as pending, in the order of turns."""
    pending = Generation.state == GenerationState.PENDING.value
    rows = await session.execute(
        select(Generation.id, Generation.number, Generation.client_id, Generation.created_at)
        .where(pending)
        .order_by(Generation.number)
        .limit(HELD_TOLD_AT_MOST)
    )
    entries = [
        {
            "id": str(row.id),
            "number": row.number,
            "client_id": row.client_id,
            "created_at": int(row.created_at.timestamp() * 1000),
        }
        for row in rows
    ]
    total = len(entries)
    if total == HELD_TOLD_AT_MOST:
        total = await session.scalar(select(func.count()).where(pending)) or total
    return {"total": total, "held": entries}
