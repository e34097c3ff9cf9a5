"""
How many run before a generation, and in which order those that are held will run: as it stands at this moment.

Where somebody is in the line is known of the whole of it (`waiting_line`); how many of their own are before one, the
database says. So a place costs the same however many people wait, and it moves back when somebody comes whose turn is
earlier.
"""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import Context
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Row, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from sidecar.database import Database
from sidecar.errors import Away
from sidecar.generations import fair_shares
from sidecar.generations.models import PENDING_IN_SQL, Generation, is_pending
from sidecar.generations.schemas import HELD_TOLD_AT_MOST, Waiting
from sidecar.generations.shares import LINE_ORDER, TIME, Share
from sidecar.generations.states import GenerationState
from sidecar.generations.turn_order import Ahead, InLine
from sidecar.generations.turns import OWN_ORDER
from sidecar.generations.waiting_line import EVERYBODY, MAY_GO, Snapshot, WaitingLine
from sidecar.generations.waiting_reasons import Held, to_view
from sidecar.identity import now
from sidecar.limits.paces import UNKNOWN_S
from sidecar.limits.plans import Plans
from sidecar.tasks import end

ALL_READ_AT_MOST = 5 * HELD_TOLD_AT_MOST
LOOK_AT_MOST_EVERY_S = 1.0
LOOKING_IS_ONE_IN = 20
"""Where there is so much news that to read it takes long: this part of the time."""
LATE_AFTER_S = 2.0

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
    .order_by(*LINE_ORDER)
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


log = structlog.get_logger(__name__)


class Places:
    """Says where everybody is in the line. One a process."""

    def __init__(self, database: Database, plans: Plans) -> None:
        self._plans = plans
        self._line = WaitingLine(database, plans)
        self._looking: asyncio.Task[None] | None = None
        self._step_ended = asyncio.Event()
        """Of the step that is being done, or of the next one."""
        self._has_changed = True
        self._look_again_at = self._known_at = -math.inf
        self._listeners: list[Callable[[], None]] = []

    def on(self, hear: Callable[[], None]) -> None:
        """Do this, too, when the line has moved."""
        self._listeners.append(hear)

    def changed(self) -> None:
        """Somebody came or went."""
        self._has_changed = True
        for hear in self._listeners:
            hear()

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            await end(self._looking)

    async def catch_up(self, *, at_once: bool = False) -> None:
        """
        Know what is so now, give or take a second: before a place is asked for, and before a session is opened for
        that, since looking takes one of its own.

        Where places are asked for again and again nobody waits for it. After a longer silence it is one step, which
        takes no longer the more people wait.

        Args:
            at_once: Whoever asks does so because something changed, and must know of it.
        """
        for _ in range(2 if at_once else 1):  # a step that had begun before may have missed it
            if self._has_changed and not self._is_looking() and (at_once or time.monotonic() >= self._look_again_at):
                # In nobody's context: whoever asks first does not ask for this.
                self._looking = Context().run(asyncio.create_task, self._look())
            if self._is_looking() and (at_once or time.monotonic() > self._known_at + LATE_AFTER_S):
                await self._step_ended.wait()

    def _is_looking(self) -> bool:
        return self._looking is not None and not self._looking.done()

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
        snapshot = self._line.snapshot
        lines = {person_id: snapshot.order.get(person_id) for person_id in {one.person_id for one, _ in held}}
        missing = [person_id for person_id, line in lines.items() if line is None]
        lines.update(await read_shares(session, self._plans, missing) if missing else {})
        found, at = [], now()
        for one, own in held:
            ahead = snapshot.order.ahead(lines[one.person_id], own)
            starts_at = partial(snapshot.starts_at, ahead, at=at)
            can_go = snapshot.instances > 0
            found.append(to_view(one, ahead, paused=snapshot.paused, can_go=can_go, starts_at=starts_at, at=at))
        return found

    async def behind(self, session: AsyncSession, person_id: UUID, priority: int) -> tuple[Ahead, Snapshot]:
        """What would run before one that somebody submitted now."""
        snapshot = self._line.snapshot
        me = snapshot.order.get(person_id) or await newcomer(session, self._plans, person_id)
        own = await session.scalar(OWN_AHEAD, {"person": person_id, "priority": priority}) or 0
        return snapshot.order.ahead(me, own), snapshot

    async def held(self, session: AsyncSession) -> dict[str, Any]:
        """What ComfyUI's own queue panel shall show as pending, in the order in which it will run."""
        at = now()
        order = list(islice(self._line.snapshot.order, HELD_TOLD_AT_MOST))
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

    async def _look(self) -> None:
        while await self._step():
            pass

    async def _step(self) -> bool:
        """Tells whether there is more to be read right now."""
        began, self._has_changed = time.monotonic(), False
        try:
            has_more = await self._line.step()
            self._known_at = time.monotonic()
        except Exception as exc:
            self._has_changed, has_more = True, False  # tried again
            log.warning("line_not_looked_at", exc_info=None if isinstance(exc, Away) else exc, reason=str(exc))
        finally:
            ended, self._step_ended = self._step_ended, asyncio.Event()
            ended.set()
        took_s = time.monotonic() - began
        self._look_again_at = began + max(LOOK_AT_MOST_EVERY_S, took_s * LOOKING_IS_ONE_IN)
        if has_more:
            await asyncio.sleep(took_s)
        return has_more


async def read_shares(session: AsyncSession, plans: Plans, people: Collection[UUID]) -> dict[UUID, InLine]:
    """Of some who began to wait since the whole line was read."""
    rows = (await session.execute(EVERYBODY.where(Share.person_id.in_(people)))).all()
    standings = await plans.of_all(session, people)
    costs = {one: fair_shares.cost(UNKNOWN_S, standings[one].limits.weight) for one in people}
    return {one: InLine(one, tag, since, costs[one], 0) for one, tag, since in rows}


async def newcomer(session: AsyncSession, plans: Plans, person_id: UUID) -> InLine:
    """Somebody who waits for nothing yet, as they will stand when they do."""
    known = (await read_shares(session, plans, [person_id])).get(person_id)
    latest = await session.scalar(TIME) or 0
    return InLine(person_id, fair_shares.begin(0 if known is None else known.tag, latest), now(), 1, 0)


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
