"""Whose turn is it, and where? For now: first come, first served."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.catalog.snapshot import Snapshot
from sidecar.generations.choice import UNKNOWN_S, Choice, Seat, Wish, choose
from sidecar.generations.in_flight import is_in_flight
from sidecar.generations.models import Generation
from sidecar.generations.states import GenerationState
from sidecar.instances.models import Instance
from sidecar.instances.paces import paces
from sidecar.instances.standing import is_met, is_sound

IN_FLIGHT_AT_MOST = 2  # the one that runs, and one fed ahead so that the GPU never waits
LOOKED_AHEAD_AT_MOST = 20
AWAITED_AT_MOST_S = 120.0  # twice as long as it takes until somebody looks what an instance has (`following.py`)
HELD_TOLD_AT_MOST = 1000


@dataclass(frozen=True)
class Outlook:
    """What may go where now, and what has to wait though a place is free."""

    choice: Choice | None = None
    without_models: tuple[UUID, ...] = field(default=())
    """The generations whose models no sound instance has."""
    rest_s: float | None = None
    """How long it takes until one of the instances that rest may have work again; None when none does."""


async def look_ahead(session: AsyncSession, snapshot: Snapshot, *, at: datetime) -> Outlook:
    """Asked after everything that happens, so it reads no more than it takes to choose."""
    columns = (Instance.id, Instance.checkpoint, Instance.failures, Instance.rests_until, is_sound().label("is_sound"))
    met = (await session.execute(select(*columns).where(is_met()))).all()
    sound = [instance for instance in met if instance.is_sound]
    if not sound:
        return Outlook()
    resting = [instance.rests_until for instance in sound if instance.rests_until and instance.rests_until > at]
    rest_s = (min(resting) - at).total_seconds() if resting else None
    busy = await in_flight(session)
    rested = [instance for instance in sound if instance.rests_until is None or instance.rests_until <= at]
    if all(len(busy[instance.id]) >= IN_FLIGHT_AT_MOST for instance in rested):
        return Outlook(rest_s=rest_s)
    unasked = {instance.id for instance in met} - {instance.id for instance in rested}
    wishes = await first_wishes(session, snapshot, unasked, at=at)
    if not wishes:
        return Outlook(rest_s=rest_s)
    known = await seconds_of(session, wishes, busy) if len(sound) > 1 else {}
    seats = [to_seat(instance, busy[instance.id], known.get(instance.id, {}), at=at) for instance in rested]
    there = {instance.id for instance in sound}
    without_models = tuple(wish.generation_id for wish in wishes if is_nowhere(wish, there, snapshot))
    choice = choose([with_unlisted(wish, there, snapshot) for wish in wishes], seats)
    return Outlook(choice, without_models, rest_s)


async def in_flight(session: AsyncSession) -> Mapping[UUID, list[Row[Any]]]:
    """What each instance has in its hands; nothing where it has nothing."""
    found: dict[UUID, list[Row[Any]]] = defaultdict(list)
    columns = (Generation.instance_id, Generation.checkpoint, Generation.state, Generation.started_at)
    for row in await session.execute(select(*columns).where(is_in_flight())):
        found[row.instance_id].append(row)
    return found


async def first_wishes(
    session: AsyncSession, snapshot: Snapshot, unasked: Collection[UUID], *, at: datetime
) -> list[Wish]:
    """
    Those whose turn is next, in the order of turns.

    Args:
        unasked: Instances that are there and get nothing now. What one of them may have already waits: it would run a
            second time elsewhere.
    """
    query = (
        select(Generation.id, Generation.checkpoint, Generation.loras, Generation.instance_id)
        .where(
            Generation.state == GenerationState.PENDING.value,
            or_(Generation.not_before.is_(None), Generation.not_before <= at),
            ~is_awaited(unasked, at=at),
        )
        .order_by(Generation.number)
        .limit(LOOKED_AHEAD_AT_MOST)
    )
    return [
        Wish(
            generation_id=row.id,
            checkpoint=row.checkpoint,
            able=snapshot.holders(row.checkpoint, [lora["name"] for lora in row.loras]),
            may_be_at=row.instance_id,
        )
        for row in await session.execute(query)
    ]


def is_awaited(unasked: Collection[UUID], *, at: datetime) -> ColumnElement[bool]:
    """May one of these instances have it? If so, it is seen there before long, since somebody looks every minute."""
    return and_(
        func.coalesce(Generation.instance_id.in_(unasked), false()),
        func.coalesce(Generation.not_before > at - timedelta(seconds=AWAITED_AT_MOST_S), false()),
    )


async def seconds_of(
    session: AsyncSession, wishes: Sequence[Wish], busy: Mapping[UUID, list[Row[Any]]]
) -> Mapping[UUID, Mapping[str, float]]:
    """How long whatever has to be reckoned with takes on each instance; where that is not known, as on the others."""
    checkpoints = {wish.checkpoint for wish in wishes} | {row.checkpoint for rows in busy.values() for row in rows}
    known = await paces(session, checkpoints)
    elsewhere = {checkpoint: mean(known, checkpoint) for checkpoint in checkpoints}
    usual = {checkpoint: seconds for checkpoint, seconds in elsewhere.items() if seconds is not None}
    return defaultdict(lambda: usual, {instance_id: {**usual, **own} for instance_id, own in known.items()})


def mean(known: Mapping[UUID, Mapping[str, float]], checkpoint: str) -> float | None:
    found = [seconds[checkpoint] for seconds in known.values() if checkpoint in seconds]
    return sum(found) / len(found) if found else None


def is_nowhere(wish: Wish, there: Iterable[UUID], snapshot: Snapshot) -> bool:
    able = with_unlisted(wish, there, snapshot).able
    return able is not None and able.isdisjoint(there)


def with_unlisted(wish: Wish, there: Iterable[UUID], snapshot: Snapshot) -> Wish:
    """An instance that has not said yet what it has may have everything."""
    if wish.able is None:
        return wish
    return replace(wish, able=wish.able | (frozenset(there) - snapshot.listed))


def to_seat(instance: Row[Any], busy: Sequence[Row[Any]], seconds: Mapping[str, float], *, at: datetime) -> Seat:
    return Seat(
        instance_id=instance.id,
        places=max(IN_FLIGHT_AT_MOST - len(busy), 0),
        busy_s=sum(left_s(row, seconds.get(row.checkpoint, UNKNOWN_S), at=at) for row in busy),
        checkpoint=instance.checkpoint,
        seconds=seconds,
        failures=instance.failures,
    )


def left_s(row: Row[Any], takes_s: float, *, at: datetime) -> float:
    """
    How much longer it will take. What takes longer than expected is expected to go on for as long as that again:
    nobody shall wait for ever behind one that hangs.
    """
    if row.state != GenerationState.RUNNING.value or row.started_at is None:
        return takes_s
    runs_s: float = (at - row.started_at).total_seconds()
    return abs(takes_s - runs_s)


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
