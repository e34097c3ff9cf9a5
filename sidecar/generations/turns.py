"""Whose turn is it, and where? For now: first come, first served."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, bindparam, false, func, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.catalog.snapshot import Snapshot
from sidecar.generations.choice import UNKNOWN_S, Choice, Seat, Seating, Wish
from sidecar.generations.in_flight import is_in_flight
from sidecar.generations.models import Generation, Workflow
from sidecar.generations.states import GenerationState
from sidecar.generations.waiting import why_it_waits
from sidecar.instances import registry
from sidecar.instances.models import Instance
from sidecar.instances.paces import paces
from sidecar.instances.standing import is_met, is_sound

IN_FLIGHT_AT_MOST = 2  # the one that runs, and one fed ahead so that the GPU never waits
PAGES = (20, 200, 1000)  # mostly the first one fills every place; while one stays free, more is read
REASONS_AT_ONCE = 200
AWAITED_AT_MOST_S = 120.0  # twice as long as it takes until somebody looks what an instance has (`following.py`)
HELD_TOLD_AT_MOST = 1000


# These are asked after everything that happens. Made once, since that takes longer than to run them.
MET = select(
    Instance.id, Instance.checkpoint, Instance.failures, Instance.rests_until, is_sound().label("is_sound")
).where(is_met())
ALL_IN_FLIGHT = select(Generation.instance_id, Generation.checkpoint, Generation.state, Generation.started_at).where(
    is_in_flight()
)
IS_PENDING = Generation.state == GenerationState.PENDING.value
# May one of these instances have it? If so, it is seen there before long, since somebody looks every minute.
IS_AWAITED = and_(
    func.coalesce(Generation.instance_id.in_(bindparam("unasked", expanding=True)), false()),
    func.coalesce(Generation.not_before > bindparam("not_awaited_before"), false()),
)
WAITING = (
    select(
        Generation.id,
        Generation.turn,
        Generation.checkpoint,
        Generation.loras,
        Generation.instance_id,
        Generation.waiting_reason,
    )
    .where(IS_PENDING, or_(Generation.not_before.is_(None), Generation.not_before <= bindparam("at")), ~IS_AWAITED)
    .where(Generation.turn > bindparam("after"))
    .order_by(Generation.turn)
    .limit(bindparam("at_most"))
)
NEXT_TO_GO = WAITING.add_columns(null().label("node_classes"))
NEXT_TO_GO_WITH_NODES = WAITING.add_columns(Workflow.node_classes).join(
    Workflow, Workflow.hash == Generation.workflow_hash
)
PENDING_AHEAD = select(func.count()).where(IS_PENDING, Generation.turn < bindparam("turn"))


@dataclass(frozen=True)
class Outlook:
    """What may go where now, and what has to wait though a place is free."""

    choices: tuple[Choice, ...] = ()
    """In the order of turns."""
    reasons: Mapping[UUID, str | None] = field(default_factory=dict)
    """Why some have to wait (no sound instance has their models), where that is not what is written down of them."""
    rest_s: float | None = None
    """How long it takes until one of the instances that rest may have work again; None when none does."""
    pages: int = 0
    """How many were read of those that wait."""
    is_whole: bool = True
    """False: a place is free, and somebody may wait for it of whom nothing was read."""


async def look_ahead(session: AsyncSession, snapshot: Snapshot, *, at: datetime, far: bool = True) -> Outlook:
    """
    Asked after everything that happens, so it reads no more than it takes to fill every free place.

    Where one stays free it looks at everything that waits: however many only a busy instance can do, or none at all, an
    idle one gets what it can do behind them. Not `far` is for who has just done that.
    """
    met = (await session.execute(MET)).all()
    sound = [instance for instance in met if instance.is_sound]
    resting = [instance.rests_until for instance in sound if instance.rests_until and instance.rests_until > at]
    rest_s = (min(resting) - at).total_seconds() if resting else None
    rested = [instance for instance in sound if instance.rests_until is None or instance.rests_until <= at]
    busy = await in_flight(session) if rested else {}
    if all(len(busy[instance.id]) >= IN_FLIGHT_AT_MOST for instance in rested):
        return Outlook(rest_s=rest_s)
    unasked = {instance.id for instance in met} - {instance.id for instance in rested}
    there = frozenset(instance.id for instance in sound)
    seconds = Seconds(session, [instance.id for instance in rested] if len(sound) > 1 else [])
    await seconds.look_up({row.checkpoint for rows in busy.values() for row in rows})
    seating = Seating(to_seat(instance, busy[instance.id], seconds.of(instance.id), at=at) for instance in rested)
    reasons = Reasons(session, snapshot, there)
    choices: list[Choice] = []
    pages = 0
    async for page in pages_of_waiting(session, unasked, at=at, with_nodes=snapshot.nodes_differ):
        pages += 1
        await seconds.look_up({row.checkpoint for row in page})
        wishes = [to_wish(row, there, snapshot) for row in page]
        choices += seating.take(wishes)
        await reasons.look_at(page, wishes)
        if not seating.has_places():
            break
        if not far and len(page) == PAGES[0]:
            return Outlook(tuple(choices), reasons.found, rest_s, pages, is_whole=False)
    return Outlook(tuple(choices), reasons.found, rest_s, pages)


async def in_flight(session: AsyncSession) -> Mapping[UUID, list[Row[Any]]]:
    """What each instance has in its hands; nothing where it has nothing."""
    found: dict[UUID, list[Row[Any]]] = defaultdict(list)
    for row in await session.execute(ALL_IN_FLIGHT):
        found[row.instance_id].append(row)
    return found


async def pages_of_waiting(
    session: AsyncSession, unasked: Collection[UUID], *, at: datetime, with_nodes: bool
) -> AsyncIterator[Sequence[Row[Any]]]:
    """
    Those whose turn is next, in the order of turns, in ever longer pages.

    Args:
        unasked: Instances that are there and get nothing now. What one of them may have already waits: it would run a
            second time elsewhere.
        with_nodes: Which node classes each needs, too. Mostly all instances know the same, and nobody need ask.
    """
    query = NEXT_TO_GO_WITH_NODES if with_nodes else NEXT_TO_GO
    asked = {"at": at, "unasked": list(unasked), "not_awaited_before": at - timedelta(seconds=AWAITED_AT_MOST_S)}
    last = 0
    for length in chain(PAGES, repeat(PAGES[-1])):
        page = (await session.execute(query, {**asked, "after": last, "at_most": length})).all()
        if page:
            yield page
            last = page[-1].turn
        if len(page) < length:
            return


class Seconds:
    """How long whatever has to be reckoned with takes on each instance; where that is not known, as on the others."""

    def __init__(self, session: AsyncSession, instance_ids: Iterable[UUID]) -> None:
        self._session = session
        self._known: dict[UUID, dict[str, float]] = {instance_id: {} for instance_id in instance_ids}
        self._asked: set[str] = set()

    def of(self, instance_id: UUID) -> Mapping[str, float]:
        """By checkpoint; whatever is looked up later is in it, too."""
        return self._known.get(instance_id, {})

    async def look_up(self, checkpoints: Set[str]) -> None:
        new = checkpoints - self._asked
        if not self._known or not new:
            return
        self._asked |= new
        found = await paces(self._session, new)
        for checkpoint in new:
            everywhere = [own[checkpoint] for own in found.values() if checkpoint in own]
            for instance_id, known in self._known.items() if everywhere else ():
                usual_s = sum(everywhere) / len(everywhere)
                known[checkpoint] = found.get(instance_id, {}).get(checkpoint, usual_s)


class Reasons:
    """Why some of those that wait cannot go anywhere, as far as it is not written down."""

    def __init__(self, session: AsyncSession, snapshot: Snapshot, there: Set[UUID]) -> None:
        self._session = session
        self._snapshot = snapshot
        self._there = there
        self._instances: list[Instance] | None = None
        self.found: dict[UUID, str | None] = {}

    async def look_at(self, page: Iterable[Row[Any]], wishes: Iterable[Wish]) -> None:
        for row, wish in zip(page, wishes, strict=True):
            if len(self.found) >= REASONS_AT_ONCE:
                return  # the next look goes on with the others
            reason = await self._reason(row) if is_nowhere(wish, self._there) else None
            if reason != row.waiting_reason:
                self.found[wish.generation_id] = reason

    async def _reason(self, row: Row[Any]) -> str:
        if self._instances is None:
            self._instances = await registry.instances(self._session)
        nodes = self._snapshot.uncommon_nodes(row.node_classes or ())
        loras = [lora["name"] for lora in row.loras]
        return why_it_waits(row.checkpoint, loras, nodes, self._instances, self._snapshot)


def to_wish(row: Row[Any], there: Set[UUID], snapshot: Snapshot) -> Wish:
    nodes = snapshot.uncommon_nodes(row.node_classes or ())
    able = snapshot.able(row.checkpoint, [lora["name"] for lora in row.loras], nodes)
    if able is not None:
        able |= there - snapshot.listed  # one that has not said yet what it has may have everything
    return Wish(row.id, row.checkpoint, able, may_be_at=row.instance_id)


def is_nowhere(wish: Wish, there: Set[UUID]) -> bool:
    return wish.able is not None and wish.able.isdisjoint(there)


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


async def places(session: AsyncSession, turns: list[int]) -> dict[int, int]:
    """How many held generations run before each of these (given by their turns)."""
    if not turns:
        return {}
    first, last = min(turns), max(turns)
    ahead = await session.scalar(PENDING_AHEAD, {"turn": first}) or 0
    if first == last:
        return {first: ahead}
    between = select(Generation.turn).where(IS_PENDING, Generation.turn.between(first, last))
    ordered = await session.scalars(between.order_by(Generation.turn))
    return {turn: place for place, turn in enumerate(ordered, start=ahead)}


async def go_in_front(session: AsyncSession, generation: Generation) -> None:
    """
    Let one that was just written be the next of its owner's: it takes the turn of the first of them, that one takes the
    second one's, and so on. Nobody else waits for longer.
    """
    own = select(Generation.id, Generation.turn).where(IS_PENDING, Generation.owner_id == generation.owner_id)
    waiting = (await session.execute(own.order_by(Generation.turn))).all()
    order = [generation.id, *(row.id for row in waiting if row.id != generation.id)]
    turns = [row.turn for row in waiting]
    moved = [{"id": one, "turn": turn} for one, turn in zip(order, turns, strict=True)]
    await session.execute(update(Generation), moved)
    await session.refresh(generation, ["turn"])


async def held(session: AsyncSession) -> dict[str, Any]:
    """What ComfyUI's own queue panel shall show as pending, in the order of turns."""
    rows = await session.execute(
        select(Generation.id, Generation.turn, Generation.owner_id, Generation.client_id, Generation.created_at)
        .where(IS_PENDING)
        .order_by(Generation.turn)
        .limit(HELD_TOLD_AT_MOST)
    )
    entries = [
        {
            "id": str(row.id),
            "number": row.turn,  # by which ComfyUI's page puts them in order
            "owner_id": str(row.owner_id),
            "client_id": row.client_id,
            "created_at": int(row.created_at.timestamp() * 1000),
        }
        for row in rows
    ]
    total = len(entries)
    if total == HELD_TOLD_AT_MOST:
        total = await session.scalar(select(func.count()).where(IS_PENDING)) or total
    return {"total": total, "held": entries}
