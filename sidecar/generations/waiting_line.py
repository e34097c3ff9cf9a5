"""
Everybody who waits, as this process knows them: read once, and then whatever has changed since.

What has changed is found in what every change writes down (`GenerationEvent`), whichever process made it. What nothing
is written of, such as other limits and longer expectations, is found by reading everybody anew, some at a time. So a
look takes as long as there is news, however many wait; and where few wait, each look is at all of them.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Row, and_, bindparam, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.database import GUID, Database, DateTimeUTC
from sidecar.generations import fair_shares
from sidecar.generations.models import Generation, GenerationEvent, is_pending
from sidecar.generations.pausing import pause_of
from sidecar.generations.schemas import Moments
from sidecar.generations.shares import LINE_ORDER, Share, is_ready
from sidecar.generations.states import GenerationState
from sidecar.generations.turn_order import UNKNOWN_EACH, Ahead, InLine, TurnOrder
from sidecar.generations.turns import LONG_AGO, in_flight, left_s
from sidecar.identity import lowest_at, now
from sidecar.instances.models import Instance
from sidecar.instances.standing import is_sound
from sidecar.limits.estimate import Estimates
from sidecar.limits.paces import AT_ONCE, Expected, one_after_another
from sidecar.limits.plans import Plans

READ_AT_ONCE = 200
"""People. What is read of them is worked off in one go, and meanwhile nobody is answered."""
PAGES_IN_A_STEP = 2
NEWS_AT_ONCE = 2000
MANY = 10_000
OVERLAP = timedelta(seconds=5)
"""What was to be read in the last look may have been committed after it; and the clocks of two processes may differ."""

MAY_GO = and_(is_pending(), is_ready(bindparam("at")))
SOUND = select(Instance.id).where(is_sound())
EVERYBODY = select(Share.person_id, Share.tag, Share.turn_since)
THESE = EVERYBODY.where(Share.is_waiting, Share.person_id.in_(bindparam("people", expanding=True)))
FROM_THE_FIRST = EVERYBODY.where(Share.is_waiting).order_by(*LINE_ORDER).limit(bindparam("at_most"))
BEHIND = FROM_THE_FIRST.where(
    tuple_(*LINE_ORDER)
    > tuple_(
        bindparam("tag", type_=BigInteger),
        bindparam("turn_since", type_=DateTimeUTC(timezone=True)),
        bindparam("person_id", type_=GUID),
    )
)
THEIRS = (
    select(
        Generation.person_id,
        Generation.checkpoint,
        func.count().label("how_many"),
        func.sum(Generation.work).label("work"),
    )
    .where(MAY_GO, Generation.person_id.in_(bindparam("people", expanding=True)))
    .group_by(Generation.person_id, Generation.checkpoint)
)
NEWS = (
    select(GenerationEvent.id, GenerationEvent.generation_id)
    .where(GenerationEvent.id > bindparam("from"), GenerationEvent.state != GenerationState.RUNNING.value)
    .order_by(GenerationEvent.id)
    .limit(NEWS_AT_ONCE)
)
OF_GENERATIONS = select(Generation.person_id).where(Generation.id.in_(bindparam("ids", expanding=True)))
DUE = select(Generation.person_id).where(
    is_pending(),
    Generation.not_before.is_not(None),
    Generation.not_before > bindparam("since"),
    Generation.not_before <= bindparam("at"),
)


@dataclass(frozen=True)
class Snapshot:
    """How it stands at one moment."""

    order: TurnOrder = field(default_factory=TurnOrder)
    """Goes on being kept true."""
    paused: str | None = None
    """Why nothing goes; None while something does."""
    at: datetime = LONG_AGO
    busy: Expected = AT_ONCE
    """How long all instances together will be at work on what they have."""
    instances: int = 0
    """How many may have work."""

    def starts_at(self, ahead: Ahead, held_until: datetime | None = None, *, at: datetime) -> Moments | None:
        """When what has this ahead of it will begin; None while nothing can."""
        if self.paused is not None or not self.instances:
            return None
        waits = one_after_another([self.busy, ahead.takes]).times(1 / self.instances)
        earliest = at if held_until is None else max(held_until, at)
        return Moments(*(max(self.at + timedelta(seconds=round(each)), earliest) for each in waits))


class WaitingLine:
    """One a process."""

    def __init__(self, database: Database, plans: Plans) -> None:
        self._database = database
        self._plans = plans
        self._estimates = Estimates()
        self._news = News()
        self._to_read: set[UUID] = set()
        """Of whom something else may be true than is known here."""
        self._seen: set[int] = set()
        """The numbers of the ids of those who were read since the first of the line was."""
        self._last: Row[Any] | None = None
        """Of those the last one; None: the first of the line is next."""
        self._was_read = False
        self._kept = 0
        self.snapshot = Snapshot()
        plans.on(self._hear_of_limits)

    def _hear_of_limits(self, person_id: UUID | None) -> None:
        """What holds for everybody is found when everybody is read anew."""
        if person_id is not None:
            self._to_read.add(person_id)

    async def step(self) -> bool:
        """
        Read what is new, and some of all others; tells whether it takes more of these to know what is known by now.

        Raises:
            DatabaseUnavailable: It does not answer. Nothing is forgotten by that.
        """
        async with self._database.reading() as session:
            at = now()
            people, has_more = await self._news.read(session, at=at)
            self._to_read |= people
            self._to_read -= await self._read_on(session, at=at)
            while some := list(islice(self._to_read, READ_AT_ONCE)):
                await self._read_these(session, some, at=at)
                self._to_read.difference_update(some)
            self.snapshot = await self._how_it_stands(session, at=at)
        self._keep()
        return has_more or not self._was_read

    async def _read_on(self, session: AsyncSession, *, at: datetime) -> set[UUID]:
        """Some more of the line, from where the last step ended: who was read."""
        read: set[UUID] = set()
        for _ in range(PAGES_IN_A_STEP):
            behind = None if self._last is None else self._last._asdict()
            query = FROM_THE_FIRST if behind is None else BEHIND
            page = (await session.execute(query, {"at_most": READ_AT_ONCE, **(behind or {})})).all()
            await self._take_in(session, page, at=at)
            read.update(row.person_id for row in page)
            self._seen.update(row.person_id.int for row in page)
            if len(page) < READ_AT_ONCE:
                self._to_read.update(self.snapshot.order.besides(self._seen))
                self._seen, self._last, self._was_read = set(), None, True
                return read
            self._last = page[-1]
        return read

    def _keep(self) -> None:
        """Many more are known: they stay. Each full collection would look at all of them, for 30 ms of silence."""
        if len(self.snapshot.order) > self._kept + MANY:
            self._kept = len(self.snapshot.order)
            gc.freeze()

    async def _read_these(self, session: AsyncSession, people: Collection[UUID], *, at: datetime) -> None:
        rows = (await session.execute(THESE, {"people": list(people)})).all()
        await self._take_in(session, rows, at=at)
        for person_id in set(people) - {row.person_id for row in rows}:
            self.snapshot.order.remove(person_id)
        if self._last is not None:
            self._seen.update(person_id.int for person_id in people)

    async def _take_in(self, session: AsyncSession, rows: Sequence[Row[Any]], *, at: datetime) -> None:
        """These wait: how much they wait for, and how long it takes."""
        people = [row.person_id for row in rows]
        theirs = (await session.execute(THEIRS, {"people": people, "at": at})).all() if people else []
        known = await self._estimates.of(session, {row.checkpoint for row in theirs})
        counts: dict[UUID, int] = defaultdict(int)
        work: dict[UUID, list[Expected]] = defaultdict(list)
        for each in theirs:
            counts[each.person_id] += each.how_many
            one = known[each.checkpoint].usual.at(each.work / each.how_many)
            work[each.person_id].append(one.times(each.how_many))
        standings = await self._plans.of_all(session, people)
        for person_id, tag, since in rows:
            count = counts[person_id]
            takes = one_after_another(work[person_id]).times(1 / count) if count else UNKNOWN_EACH
            cost = fair_shares.cost(takes.seconds, standings[person_id].limits.weight)
            self.snapshot.order.put(InLine(person_id, tag, since, cost, count, takes))

    async def _how_it_stands(self, session: AsyncSession, *, at: datetime) -> Snapshot:
        pause = await pause_of(session)
        sound = set(await session.scalars(SOUND))
        busy = await at_work(session, self._estimates, sound, at=at)
        return Snapshot(self.snapshot.order, None if pause is None else pause.reason, at, busy, len(sound))


class News:
    """Of whom something else is true than before. What was heard once is not told again."""

    def __init__(self) -> None:
        self._looked_at = now()
        self._from = lowest_at(self._looked_at - OVERLAP)
        self._heard: set[UUID] = set()

    async def read(self, session: AsyncSession, *, at: datetime) -> tuple[set[UUID], bool]:
        """These people, and whether there is more news."""
        rows = (await session.execute(NEWS, {"from": self._from})).all()
        ids = {row.generation_id for row in rows if row.id not in self._heard}
        news = await session.scalars(OF_GENERATIONS, {"ids": list(ids)}) if ids else ()
        due = await session.scalars(DUE, {"since": self._looked_at - OVERLAP, "at": at})
        people = set(news).union(due)
        has_more = len(rows) == NEWS_AT_ONCE
        self._looked_at = at
        self._from = rows[-1].id if has_more else lowest_at(at - OVERLAP)
        self._heard = {each for each in self._heard.union(row.id for row in rows) if each > lowest_at(at - OVERLAP)}
        return people, has_more


async def at_work(session: AsyncSession, estimates: Estimates, sound: Set[UUID], *, at: datetime) -> Expected:
    """How long these instances will be at work on what they have."""
    rows = [row for instance_id, rows in (await in_flight(session)).items() if instance_id in sound for row in rows]
    known = await estimates.of(session, {row.checkpoint for row in rows})
    left = []
    for row in rows:
        takes = known[row.checkpoint].on(row.instance_id).at(row.work)
        left.append(takes.times(left_s(row, takes.seconds, at=at) / takes.seconds))
    return one_after_another(left)
