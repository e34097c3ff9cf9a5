"""Whose turn is it, and where? For now: first come, first served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.choice import Seat, Wish, choose
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
    wanted = {instance.id: instance for instance in await session.scalars(select(Instance).where(may_get_work(at)))}
    if not wanted:
        return None
    taken = await count_in_flight(session)
    seats = [to_seat(instance, taken.get(instance.id, 0)) for instance in wanted.values()]
    if not any(seat.places for seat in seats):
        return None
    waiting = {generation.id: generation for generation in await first_waiting(session, at=at)}
    choice = choose([to_wish(generation) for generation in waiting.values()], seats)
    return Turn(waiting[choice.generation_id], wanted[choice.instance_id]) if choice else None


async def shortest_rest_s(session: AsyncSession, *, at: datetime) -> float | None:
    """How long it takes until one of the instances that rest may have work again; None when none does."""
    rested_at = await session.scalar(select(func.min(Instance.rests_until)).where(may_get_work_later(at)))
    return (rested_at - at).total_seconds() if rested_at else None


async def first_waiting(session: AsyncSession, *, at: datetime) -> list[Generation]:
    """Those whose turn is next, in the order of turns."""
    query = (
        select(Generation)
        .where(
            Generation.state == GenerationState.PENDING.value,
            or_(Generation.not_before.is_(None), Generation.not_before <= at),
        )
        .order_by(Generation.number)
        .limit(LOOKED_AHEAD_AT_MOST)
    )
    return list(await session.scalars(query))


def to_seat(instance: Instance, in_flight: int) -> Seat:
    return Seat(
        instance_id=instance.id,
        places=max(IN_FLIGHT_AT_MOST - in_flight, 0),
        in_flight=in_flight,
        checkpoint=instance.checkpoint,
        failures=instance.failures,
    )


def to_wish(generation: Generation) -> Wish:
    return Wish(
        generation_id=generation.id,
        checkpoint=generation.checkpoint,
        may_be_at=generation.instance_id,
    )


async def places(session: AsyncSession, numbers: list[int]) -> dict[int, int]:
    """How many held generations run before each of these (given by their numbers)."""
    if not numbers:
        return {}
    pending = select(Generation.number).where(Generation.state == GenerationState.PENDING.value)
    first = min(numbers)
    ahead = await session.scalar(select(func.count()).select_from(pending.where(Generation.number < first).subquery()))
    between = pending.where(Generation.number.between(first, max(numbers))).order_by(Generation.number)
    return {number: place for place, number in enumerate(await session.scalars(between), start=ahead or 0)}


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
