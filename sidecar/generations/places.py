"""
How many run before a generation, and in which order those that are held will run: as it stands at this moment.

Of everybody who waits it is known how many they wait for and how long those take; from that follows where in the line
each of them is, without looking at any. So a place costs the same however many wait, and it moves back when somebody
comes whose turn is earlier.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from heapq import heapify, heappop, heapreplace
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from sidecar.generations import fair_shares
from sidecar.generations.models import PENDING_IN_SQL, Generation, is_pending
from sidecar.generations.pausing import pause_of
from sidecar.generations.schemas import Moments, Waiting
from sidecar.generations.shares import TIME, Share, is_ready
from sidecar.generations.states import GenerationState
from sidecar.generations.turns import LONG_AGO, OWN_ORDER, in_flight, left_s
from sidecar.generations.waiting_reasons import Held, to_view
from sidecar.identity import now
from sidecar.instances.models import Instance
from sidecar.instances.standing import is_sound
from sidecar.limits.estimate import lines_of
from sidecar.limits.paces import AT_ONCE, UNKNOWN, UNKNOWN_S, USUAL_WORK, Expected, one_after_another
from sidecar.limits.plans import Plans

HELD_TOLD_AT_MOST = 1000
ALL_READ_AT_MOST = 5 * HELD_TOLD_AT_MOST
READ_AT_MOST_EVERY_S = 1.0
READING_IS_ONE_IN = 20  # where so many wait that to read of all of them takes long: this part of the time

MAY_GO = and_(is_pending(), is_ready(bindparam("at")))
UNKNOWN_EACH = UNKNOWN.at(USUAL_WORK)
SOUND = select(Instance.id).where(is_sound())
EVERYBODY = select(Share.person_id, Share.tag, Share.turn_since)
THEIRS = (
    select(
        Generation.person_id,
        Generation.checkpoint,
        func.count().label("how_many"),
        func.sum(Generation.work).label("work"),
    )
    .where(MAY_GO)
    .group_by(Generation.person_id, Generation.checkpoint)
)
OTHER = aliased(Generation)
FIRST_PLACES = select(
    Generation.id,
    select(func.count())
    .where(
        OTHER.state == PENDING_IN_SQL,
        OTHER.person_id == Generation.person_id,
        or_(
            OTHER.priority > Generation.priority,
            and_(OTHER.priority == Generation.priority, OTHER.turn < Generation.turn),
        ),
    )
    .correlate(Generation)
    .scalar_subquery()
    .label("before"),
).where(Generation.id.in_(bindparam("ids", expanding=True)))
OWN_AHEAD = (
    select(func.count())
    .select_from(Generation)
    .where(is_pending(), Generation.person_id == bindparam("person"), Generation.priority >= bindparam("priority"))
)
OWN_POSITIONS = (
    select(Generation.priority, Generation.turn)
    .where(is_pending(), Generation.person_id == bindparam("person"))
    .order_by(*OWN_ORDER)
)
ENTRIES = select(
    Generation.id,
    Generation.number,
    Generation.person_id,
    Generation.owner_id,
    Generation.client_id,
    Generation.created_at,
).order_by(Generation.person_id, *OWN_ORDER)
LINE = (
    select(
        select(Generation.id)
        .where(Generation.person_id == Share.person_id, MAY_GO)
        .order_by(*OWN_ORDER)
        .limit(1)
        .correlate(Share)
        .scalar_subquery()
        .label("first_id")
    )
    .where(Share.is_waiting)
    .order_by(Share.tag, Share.turn_since, Share.person_id)
    .limit(bindparam("at_most"))
    .subquery()
)
FIRSTS = ENTRIES.order_by(None).join(LINE, LINE.c.first_id == Generation.id)
"""Of those who are the first in the line, the first one of each."""
LATER = (
    ENTRIES.where(is_pending(), Generation.not_before > bindparam("at"))
    .order_by(None)
    .order_by(Generation.not_before, Generation.number)
)


@dataclass(frozen=True)
class Ahead:
    """What runs before a generation that is held."""

    own: int
    """Of the same person."""
    others: int
    people: int
    """How many other people those are of."""
    takes: Expected = AT_ONCE
    """How long one GPU would be at work on all of it."""

    @property
    def place(self) -> int:
        return self.own + self.others


@dataclass(frozen=True)
class InLine:
    """Somebody who waits, and how much they wait for."""

    person_id: UUID
    tag: int
    turn_since: datetime
    cost: int
    """By how much their tag grows with each of theirs, on the mean."""
    count: int
    each: Expected = UNKNOWN_EACH
    """How long one of theirs takes, on the mean."""

    def before(self, tag: int, whose: InLine) -> int:
        """How many of theirs have their turn before the one of somebody else that has this tag."""
        is_first = (self.turn_since, self.person_id) < (whose.turn_since, whose.person_id)
        latest = tag if is_first else tag - 1
        return 0 if latest < self.tag else min((latest - self.tag) // self.cost + 1, self.count)


@dataclass(frozen=True)
class Snapshot:
    """Everybody who waits, at one moment."""

    line: Mapping[UUID, InLine] = field(default_factory=dict)
    paused: str | None = None
    """Why nothing goes; None while something does."""
    at: datetime = LONG_AGO
    busy: Expected = AT_ONCE
    """How long all instances together will be at work on what they have."""
    instances: int = 0
    """How many may have work."""

    def ahead(self, me: InLine | None, own: int) -> Ahead:
        """What runs before the one of this person before which so many of their own do."""
        if me is None:
            return Ahead(own, 0, 0, UNKNOWN_EACH.times(own))
        tag = me.tag + own * me.cost
        others = (one for other, one in self.line.items() if other != me.person_id)
        before = [(one, count) for one in others if (count := one.before(tag, me))]
        takes = one_after_another([me.each.times(own), *(one.each.times(count) for one, count in before)])
        return Ahead(own, sum(count for _, count in before), len(before), takes)

    def starts_at(self, ahead: Ahead, held_until: datetime | None = None, *, at: datetime) -> Moments | None:
        """When what has this ahead of it will begin; None while nothing can."""
        if self.paused is not None or not self.instances:
            return None
        waits = one_after_another([self.busy, ahead.takes]).times(1 / self.instances)
        earliest = at if held_until is None else max(held_until, at)
        return Moments(*(max(self.at + timedelta(seconds=round(each)), earliest) for each in waits))

    def order(self) -> Iterator[UUID]:
        """Whose turn it will be, one turn after the other."""
        heap = [(one.tag, one.turn_since, person_id, one.count) for person_id, one in self.line.items() if one.count]
        heapify(heap)
        while heap:
            tag, since, person_id, left = heap[0]
            yield person_id
            if left > 1:
                heapreplace(heap, (tag + self.line[person_id].cost, since, person_id, left - 1))
            else:
                heappop(heap)


class Places:
    """Reads who waits, and remembers it for a moment. One a process."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._snapshot = Snapshot()
        self._read_again_at = 0.0
        self._has_changed = True
        self._listeners: list[Callable[[], None]] = []

    def on(self, hear: Callable[[], None]) -> None:
        """Do this, too, when the line has moved."""
        self._listeners.append(hear)

    def changed(self) -> None:
        """Somebody came or went."""
        self._has_changed = True
        for hear in self._listeners:
            hear()

    async def of(self, session: AsyncSession, generations: Sequence[Generation]) -> dict[UUID, Waiting]:
        """Of those of them that are held."""
        held = [generation for generation in generations if generation.state == GenerationState.PENDING.value]
        if not held:
            return {}
        own = await own_before(session, held)
        views = await self._views(session, [(generation, own[generation.id]) for generation in held])
        return {generation.id: view for generation, view in zip(held, views, strict=True)}

    async def of_first(self, session: AsyncSession, held: Sequence[Held]) -> list[Waiting]:
        """Of somebody's next ones, all of them in their order: so nobody need count what goes before each."""
        return await self._views(session, [(one, own) for own, one in enumerate(held)])

    async def _views(self, session: AsyncSession, held: Sequence[tuple[Held, int]]) -> list[Waiting]:
        """
        Args:
            held: Each with how many of the same person go before it.
        """
        snapshot = await self._snapshot_now(session)
        missing = {one.person_id for one, _ in held} - snapshot.line.keys()
        just_begun = await read_shares(session, self._plans, missing) if missing else {}
        found, at = [], now()
        for one, own in held:
            me = snapshot.line.get(one.person_id) or just_begun.get(one.person_id)
            ahead = snapshot.ahead(me, own)
            starts_at = partial(snapshot.starts_at, ahead, at=at)
            can_go = snapshot.instances > 0
            found.append(to_view(one, ahead, paused=snapshot.paused, can_go=can_go, starts_at=starts_at, at=at))
        return found

    async def behind(self, session: AsyncSession, person_id: UUID, priority: int) -> tuple[Ahead, Snapshot]:
        """What would run before one that somebody submitted now."""
        snapshot = await self._snapshot_now(session)
        me = snapshot.line.get(person_id) or await newcomer(session, self._plans, person_id)
        own = await session.scalar(OWN_AHEAD, {"person": person_id, "priority": priority}) or 0
        return snapshot.ahead(me, own), snapshot

    async def held(self, session: AsyncSession) -> dict[str, Any]:
        """What ComfyUI's own queue panel shall show as pending, in the order in which it will run."""
        at = now()
        snapshot = await read_line(session, self._plans, at=at)
        order = list(islice(snapshot.order(), HELD_TOLD_AT_MOST))
        rows = await first_of_each(session, Counter(order), at=at)
        theirs = {person_id: iter(found) for person_id, found in rows.items()}
        told = [row for person_id in order if (row := next(theirs.get(person_id, iter(())), None)) is not None]
        later = LATER.limit(HELD_TOLD_AT_MOST - len(told))
        told += (await session.execute(later, {"at": at})).all() if len(told) < HELD_TOLD_AT_MOST else []
        total = len(told)
        if total == HELD_TOLD_AT_MOST:
            total = await session.scalar(select(func.count()).where(is_pending())) or total
        # ComfyUI's page puts them in the order of these; theirs are dealt out anew, so that they mean what they did.
        numbers = sorted(row.number for row in told)
        return {"total": total, "held": [to_entry(row, number) for row, number in zip(told, numbers, strict=True)]}

    async def _snapshot_now(self, session: AsyncSession) -> Snapshot:
        began = time.monotonic()
        if self._has_changed and began >= self._read_again_at:
            self._has_changed = False
            self._snapshot = await read_line(session, self._plans, at=now())
            took_s = time.monotonic() - began
            self._read_again_at = began + max(READ_AT_MOST_EVERY_S, took_s * READING_IS_ONE_IN)
        return self._snapshot


async def read_line(session: AsyncSession, plans: Plans, *, at: datetime) -> Snapshot:
    counts: dict[UUID, int] = defaultdict(int)
    work: dict[UUID, list[Expected]] = defaultdict(list)
    theirs = (await session.execute(THEIRS, {"at": at})).all()
    known = await lines_of(session, {row.checkpoint for row in theirs})
    for row in theirs:
        counts[row.person_id] += row.how_many
        one = known[row.checkpoint].usual.at(row.work / row.how_many)
        work[row.person_id].append(one.times(row.how_many))
    everybody = (await session.execute(EVERYBODY.where(Share.is_waiting))).all()
    standings = await plans.of_all(session, [row.person_id for row in everybody])
    line = {}
    for person_id, tag, since in everybody:
        count = counts.get(person_id, 0)
        each = one_after_another(work[person_id]).times(1 / count) if count else UNKNOWN_EACH
        cost = fair_shares.cost(each.seconds, standings[person_id].limits.weight)
        line[person_id] = InLine(person_id, tag, since, cost, count, each)
    pause = await pause_of(session)
    sound = set(await session.scalars(SOUND))
    busy = await at_work(session, sound, at=at)
    return Snapshot(line, None if pause is None else pause.reason, at, busy, len(sound))


async def at_work(session: AsyncSession, sound: Set[UUID], *, at: datetime) -> Expected:
    """How long these instances will be at work on what they have."""
    rows = [row for instance_id, rows in (await in_flight(session)).items() if instance_id in sound for row in rows]
    known = await lines_of(session, {row.checkpoint for row in rows})
    left = []
    for row in rows:
        takes = known[row.checkpoint].on(row.instance_id).at(row.work)
        left.append(takes.times(left_s(row, takes.seconds, at=at) / takes.seconds))
    return one_after_another(left)


async def read_shares(session: AsyncSession, plans: Plans, people: Collection[UUID]) -> dict[UUID, InLine]:
    """Of some who began to wait since the whole line was read."""
    rows = (await session.execute(EVERYBODY.where(Share.person_id.in_(people)))).all()
    standings = await plans.of_all(session, people)
    costs = {one: fair_shares.cost(UNKNOWN_S, standings[one].limits.weight) for one in people}
    return {one: InLine(one, tag, since, costs[one], 0) for one, tag, since in rows}


async def newcomer(session: AsyncSession, plans: Plans, person_id: UUID) -> InLine:
    """Somebody who waits for nothing yet, as they will stand when they do."""
    known = (await read_shares(session, plans, [person_id])).get(person_id)
    time = await session.scalar(TIME) or 0
    return InLine(person_id, fair_shares.begin(0 if known is None else known.tag, time), now(), 1, 0)


async def own_before(session: AsyncSession, held: Iterable[Generation]) -> dict[UUID, int]:
    """How many of the same person go before each."""
    by_person: dict[UUID, list[Generation]] = defaultdict(list)
    for generation in held:
        by_person[generation.person_id].append(generation)
    for theirs in by_person.values():
        theirs.sort(key=own_position)
    firsts = [theirs[0].id for theirs in by_person.values()]
    found: dict[UUID, int] = {row.id: row.before for row in await session.execute(FIRST_PLACES, {"ids": firsts})}
    for theirs in by_person.values():
        first, last = theirs[0], theirs[-1]
        found.setdefault(first.id, 0)  # it was let go in this moment
        if first is last:
            continue
        between = OWN_POSITIONS.where(not_before(first), not_after(last))
        positions = [(-row.priority, row.turn) for row in await session.execute(between, {"person": first.person_id})]
        for generation in theirs[1:]:
            found[generation.id] = found[first.id] + bisect_left(positions, own_position(generation))
    return found


def own_position(generation: Generation) -> tuple[int, int]:
    return (-generation.priority, generation.turn)


def not_before(first: Generation) -> ColumnElement[bool]:
    same = and_(Generation.priority == first.priority, Generation.turn >= first.turn)
    return or_(Generation.priority < first.priority, same)


def not_after(last: Generation) -> ColumnElement[bool]:
    same = and_(Generation.priority == last.priority, Generation.turn <= last.turn)
    return or_(Generation.priority > last.priority, same)


async def first_of_each(
    session: AsyncSession, wanted: Mapping[UUID, int], *, at: datetime
) -> Mapping[UUID, Sequence[Row[Any]]]:
    """So many of each person's, in their own order."""
    if (await session.scalar(select(func.count()).where(is_pending())) or 0) <= ALL_READ_AT_MOST:
        found: dict[UUID, list[Row[Any]]] = defaultdict(list)
        for row in await session.execute(ENTRIES.where(MAY_GO), {"at": at}):
            found[row.person_id].append(row)
        return found
    firsts = await session.execute(FIRSTS, {"at": at, "at_most": HELD_TOLD_AT_MOST})
    read: dict[UUID, Sequence[Row[Any]]] = {row.person_id: [row] for row in firsts}
    for person_id, count in wanted.items():
        if count > 1 or person_id not in read:
            of_one = ENTRIES.where(MAY_GO, Generation.person_id == person_id).limit(count)
            read[person_id] = (await session.execute(of_one, {"at": at})).all()
    return read


def to_entry(row: Row[Any], number: int) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "number": number,
        "owner_id": str(row.owner_id),
        "client_id": row.client_id,
        "created_at": int(row.created_at.timestamp() * 1000),
    }
