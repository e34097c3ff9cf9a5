"""
Whoever listens hears where in the line stands what they wait for, also when only what is ahead of it has moved.

What somebody waits for is read once, and again when it changes; where it stands follows from the line, which `places`
knows. Nothing is worked out for those who do not listen here or wait for nothing. Where so many do both that it takes
long, it is done more seldom.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from msgspec import structs
from sqlalchemy import bindparam, desc, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.database import Database, table_of
from sidecar.errors import DatabaseUnavailable
from sidecar.generations.models import PENDING_IN_SQL, Generation
from sidecar.generations.places import Places
from sidecar.generations.schemas import InTurn, Moments, Waiting, WaitingEvent
from sidecar.identity import now
from sidecar.limits.persons import Persons
from sidecar.live_events import LiveEvent, LiveEvents, Whom

TOLD_AT_MOST = 50
AT_MOST_EVERY_S = 1.0
LOOK_AGAIN_AFTER_S = 5.0  # moments pass, though nothing happens
READ_AGAIN_AFTER_S = 900.0  # whatever was not told of is found then
TELLING_IS_ONE_IN = 25  # where it takes long: this part of a processor's time
PEOPLE_AT_ONCE = 10
MOVED_BY = timedelta(seconds=2)  # a guess that is no further off than this, or than this part of the time until then,
MOVED_BY_PART = 20  # is the same guess
OF_NO_GENERATION = UUID(int=0)

ROWS = table_of(Generation).c
HELD = select(
    ROWS.id,
    ROWS.state,
    ROWS.person_id,
    ROWS.priority,
    ROWS.turn,
    ROWS.not_before,
    ROWS.waiting_reason,
).where(ROWS.state == PENDING_IN_SQL)
THEIRS = ROWS.person_id.in_(bindparam("people", expanding=True))
FIRST = HELD.where(THEIRS).order_by(desc(ROWS.priority), ROWS.turn, ROWS.id).limit(bindparam("at_most"))
BEHIND = HELD.where(ROWS.id.in_(bindparam("ids", expanding=True)), ROWS.owner_id == bindparam("owner_id"))
COUNT = select(func.count()).where(ROWS.state == PENDING_IN_SQL, THEIRS)

log = structlog.get_logger(__name__)


@dataclass
class Theirs:
    """What somebody waits for."""

    count: int
    first: Sequence[Any]
    """The next ones, in their order."""
    behind: Sequence[Any]
    """Those behind them that have a stream of their own."""
    streams: Set[UUID | None]
    """The streams they had when it was read."""
    read_at: float

    def is_true_of(self, streams: Set[UUID | None]) -> bool:
        return self.streams == streams and time.monotonic() < self.read_at + READ_AGAIN_AFTER_S


class WaitingTelling:
    """One a process."""

    def __init__(self, database: Database, places: Places, persons: Persons, live_events: LiveEvents) -> None:
        self._database = database
        self._places = places
        self._persons = persons
        self._live_events = live_events
        self._woken = asyncio.Event()
        self._changed: set[UUID] = set()
        self._theirs: dict[Whom, Theirs] = {}
        self._told: dict[Whom, dict[UUID | None, WaitingEvent]] = {}

    def changed(self, owner_id: UUID) -> None:
        """This person waits for something else now."""
        self._changed.add(owner_id)
        self._woken.set()

    def moved(self) -> None:
        """The line has moved."""
        self._woken.set()

    async def run(self) -> None:
        """Tell those who listen, until cancelled."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_AGAIN_AFTER_S)
            self._woken.clear()
            began = time.monotonic()
            try:
                await self._tell_everybody()
            except DatabaseUnavailable as exc:
                log.warning("waiting_not_told", reason=exc.message)
            except Exception:
                log.exception("waiting_not_told")  # a fault of ours, told in full; the next round tells it again
            await asyncio.sleep(max(0.0, began + AT_MOST_EVERY_S - time.monotonic()))

    async def _tell_everybody(self) -> None:
        changed, self._changed = self._changed, set()
        streams = {whom: self._live_events.streams_of(whom) for whom in self._live_events.audience()}
        self._told = {whom: told for whom, told in self._told.items() if whom in streams}
        self._theirs = {
            whom: theirs
            for whom, theirs in self._theirs.items()
            if whom[0] not in changed and whom in streams and theirs.is_true_of(streams[whom])
        }
        # Those of whom something has changed come first, and those who wait for nothing not at all.
        due = [whom for whom in streams if whom not in self._theirs]
        due += [whom for whom, theirs in self._theirs.items() if theirs.count]
        for first in range(0, len(due), PEOPLE_AT_ONCE):
            began = time.thread_time()
            if not first:
                await self._places.catch_up(at_once=True)
            async with self._database.reading() as session:
                for whom in due[first : first + PEOPLE_AT_ONCE]:
                    if whom not in self._theirs:
                        self._theirs[whom] = await self._read(session, whom, streams[whom])
                    await self._tell(session, whom, self._theirs[whom])
            await asyncio.sleep((time.thread_time() - began) * (TELLING_IS_ONE_IN - 1))

    async def _read(self, session: AsyncSession, whom: Whom, streams: Set[UUID | None]) -> Theirs:
        owner_id, address = whom
        at = time.monotonic()
        people = (await self._persons.asking(session, owner_id, address)).ids
        first = (await session.execute(FIRST, {"people": people, "at_most": TOLD_AT_MOST})).all()
        if len(first) < TOLD_AT_MOST:
            return Theirs(len(first), first, (), streams, at)
        count = await session.scalar(COUNT, {"people": people}) or 0
        followed = streams - {None} - {one.id for one in first}
        rows = await session.execute(BEHIND, {"ids": list(followed), "owner_id": owner_id}) if followed else None
        return Theirs(count, first, rows.all() if rows else (), streams, at)

    async def _tell(self, session: AsyncSession, whom: Whom, theirs: Theirs) -> None:
        views = await self._places.of_first(session, theirs.first)
        waiting: dict[UUID, Waiting] = {one.id: view for one, view in zip(theirs.first, views, strict=True)}
        items = [to_item(each, known) for each, known in waiting.items()]
        if theirs.behind:
            waiting.update(await self._places.of(session, theirs.behind))
        for stream in theirs.streams:
            if stream is None:
                self._publish(whom, None, WaitingEvent(items, theirs.count))
            elif stream in waiting:
                self._publish(whom, stream, WaitingEvent([to_item(stream, waiting[stream])], theirs.count))

    def _publish(self, whom: Whom, stream: UUID | None, event: WaitingEvent) -> None:
        told = self._told.setdefault(whom, {})
        if is_news(event, told.get(stream), at=now()):
            told[stream] = event
            self._live_events.publish_to(whom, LiveEvent("waiting", stream or OF_NO_GENERATION, event), stream)


def to_item(generation_id: UUID, waiting: Waiting) -> InTurn:
    return InTurn(generation_id, waiting.own_before + waiting.others_before, waiting)


def is_news(event: WaitingEvent, before: WaitingEvent | None, *, at: datetime) -> bool:
    """More than that a guess is a little different each time that it is made."""
    if before is None:
        return bool(event.items)
    if event.count != before.count or len(event.items) != len(before.items):
        return True
    return any(differs(one, other, at=at) for one, other in zip(event.items, before.items, strict=True))


def differs(item: InTurn, before: InTurn, *, at: datetime) -> bool:
    same_guess = structs.replace(item.waiting, starts_at=before.waiting.starts_at)
    if (item.id, item.place, same_guess) != (before.id, before.place, before.waiting):
        return True
    return have_moved(item.waiting.starts_at, before.waiting.starts_at, at=at)


def have_moved(moments: Moments | None, before: Moments | None, *, at: datetime) -> bool:
    if moments is None or before is None:
        return moments is not before
    bearable = max(MOVED_BY, (moments.latest - at) / MOVED_BY_PART)
    pairs = zip(structs.astuple(moments), structs.astuple(before), strict=True)
    return any(abs(moment - other) > bearable for moment, other in pairs)
