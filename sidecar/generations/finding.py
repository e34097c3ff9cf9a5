"""
Which generations a page shows, found without reading many others, however many there are.

An index tells what has one property, newest first, and the index of words where all words meet. Where several things
shall hold that no one index knows together, nobody knows beforehand which of them is rare, so each index is followed
for a stretch: if a page is full or an index is at its end, that is the answer. Else the words are asked for; and where
there are none, whichever index came furthest back in its stretch has the fewest, and is followed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, select, true, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.filters import READ, Filter
from sidecar.generations.models import Generation, SearchEntry
from sidecar.generations.search import (
    Sought,
    Span,
    checkpoint_fact,
    dialect_of,
    entries_with,
    exactly,
    gives_one_by_one,
    holds,
    owner_fact,
    seek,
)

NEWEST_FIRST = (Generation.created_at.desc(), Generation.id.desc())
FIRST_STRETCH = 500
STRETCHES_GROW_BY = 4
WORTHWHILE = 100
"""Where one of so many is wanted, looking through them is as quick as finding all of those in PostgreSQL's index."""


class Position(msgspec.Struct, array_like=True):
    """Where a page ended."""

    created_at: datetime
    id: UUID


async def find(
    session: AsyncSession, owner_id: UUID, wanted: Filter, after: Position | None, limit: int
) -> Sequence[UUID]:
    """The ids of somebody's newest ones, or of those that come after a page; of several states, so many of each."""
    # One state is read off an index; several at once would be looked for from the newest generation on.
    each = wanted.one_state_each()
    if wanted.terms or len(list(wanted.ways())) > 1:
        return [found for one in each for found in await find_where_all_meet(session, owner_id, one, after, limit)]
    firsts = [first_of(owner_id, one, after, limit).subquery() for one in each]
    return (await session.scalars(union_all(*(select(first.c.id) for first in firsts)))).all()


def first_of(owner_id: UUID, wanted: Filter, after: Position | None, limit: int) -> Select[tuple[UUID]]:
    """Whatever has to be looked for is looked for from the newest on."""
    query = select(Generation.id).where(*owned_since(owner_id, wanted, after), *wanted.conditions(Generation))
    return query.order_by(*NEWEST_FIRST).limit(limit)


def owned_since(owner_id: UUID, wanted: Filter, after: Position | None) -> Iterator[ColumnElement[bool]]:
    """Somebody's own, within the time that is wanted and behind the page before."""
    yield Generation.owner_id == owner_id
    if wanted.since is not None:
        yield Generation.created_at >= wanted.since
    # One end alone: of two, SQLite begins at the one that comes first and reads from there to the other.
    if after is not None and (wanted.until is None or after.created_at < wanted.until):
        yield tuple_(Generation.created_at, Generation.id) < (after.created_at, after.id)
    elif wanted.until is not None:
        yield Generation.created_at < wanted.until


async def find_where_all_meet(
    session: AsyncSession, owner_id: UUID, wanted: Filter, after: Position | None, limit: int
) -> Sequence[UUID]:
    sought = await seek(session, wanted.terms)
    if sought is None:
        return ()
    dialect = dialect_of(session)
    by_words = found_by_words(owner_id, wanted, sought, after, dialect=dialect).limit(limit)
    ways = list(wanted.ways())
    if not ways and gives_one_by_one(sought, dialect=dialect):
        return (await session.scalars(by_words)).all()
    walks = [Walk(session, owner_id, wanted, way, after, limit) for way in ways or [true()]]
    for walk in walks:
        await walk.go_on()
        while sought and walk.is_worthwhile and not walk.is_over:
            await walk.go_on()
        if walk.is_over:
            return walk.found
    if sought:
        return (await session.scalars(by_words)).all()
    furthest = min(walks, key=Walk.reach)
    while not furthest.is_over:
        await furthest.go_on()
    return furthest.found


def found_by_words(
    owner_id: UUID, wanted: Filter, sought: Sequence[Sought], after: Position | None, *, dialect: str
) -> Select[tuple[UUID]]:
    facts = [owner_fact(owner_id), *([checkpoint_fact(wanted.checkpoint)] if wanted.checkpoint is not None else [])]
    ends = [end for end in (wanted.until, after.created_at if after else None) if end is not None]
    entries = entries_with(
        [*map(exactly, facts), *sought], Span(wanted.since, min(ends, default=None)), dialect=dialect
    )
    wanted_one = select(Generation.id).where(
        Generation.id == entries.selected_columns.generation_id,
        *owned_since(owner_id, wanted, after),
        *wanted.conditions(Generation),
    )
    return entries.where(looked_up(wanted_one))


def looked_up(row: Select[Any]) -> ColumnElement[bool]:
    """Is it there? Looked up one by one: without the offset PostgreSQL may read the whole table first."""
    return row.offset(0).exists()


class Walk:
    """Along one index from the newest on, stretch by stretch. Lives as long as its session does."""

    def __init__(
        self,
        session: AsyncSession,
        owner_id: UUID,
        wanted: Filter,
        way: ColumnElement[bool],
        after: Position | None,
        limit: int,
    ) -> None:
        self._session = session
        self._owner_id = owner_id
        self._wanted = wanted
        self._way = way
        self._limit = limit
        self._stretch = FIRST_STRETCH
        self._seen = 0
        self.found: list[UUID] = []
        self.is_over = False
        self.at = after
        """Where it stands."""

    async def go_on(self) -> None:
        """Look through the next stretch."""
        end = await self._end()
        self.found += await self._session.scalars(self.matching())
        self.is_over = end is None or len(self.found) >= self._limit
        self.at = end
        self._seen += self._stretch
        self._stretch *= STRETCHES_GROW_BY

    @property
    def is_worthwhile(self) -> bool:
        return len(self.found) * WORTHWHILE >= self._seen

    def reach(self) -> datetime:
        """How far back it came."""
        return self.at.created_at if self.at else datetime.max.replace(tzinfo=timezone.utc)

    async def _end(self) -> Position | None:
        """Where the stretch ends; None where the index does."""
        last = self._index(Generation.created_at, Generation.id).offset(self._stretch - 1).limit(1)
        row = (await self._session.execute(last)).first()
        return Position(*row) if row else None

    def matching(self) -> Select[tuple[UUID]]:
        """Those of the next stretch that are wanted."""
        # The inner limit makes it this index that is followed, whatever else the database has one for.
        stretch = self._index(*(getattr(Generation, name) for name in READ)).limit(self._stretch).subquery()
        query = select(stretch.c.id).where(*self._wanted.conditions(stretch.c))
        if self._wanted.terms:
            its_entry = select(SearchEntry.moment).where(SearchEntry.generation_id == stretch.c.id)
            query = query.where(looked_up(its_entry.where(*map(holds, self._wanted.terms))))
        return query.order_by(stretch.c.created_at.desc(), stretch.c.id.desc()).limit(self._limit - len(self.found))

    def _index(self, *columns: Any) -> Select[Any]:
        conditions = owned_since(self._owner_id, self._wanted, self.at)
        return select(*columns).where(*conditions, self._way).order_by(*NEWEST_FIRST)
