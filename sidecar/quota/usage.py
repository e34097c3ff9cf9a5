"""What was used over time: sums over the ledger, by day, by checkpoint, or by how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, case, cast, desc, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from sidecar.accounts.models import User
from sidecar.database import Database
from sidecar.errors import InvalidRequest
from sidecar.generations.models import Generation
from sidecar.identity import now
from sidecar.limits.ledger import COLUMNS, ENTRIES, Kind
from sidecar.limits.models import Group, GroupMember
from sidecar.limits.persons import Persons
from sidecar.quota.schemas import By, UsageRow, UsageView

A_DAY = timedelta(days=1)
WHERE_NOTHING_IS_SAID = timedelta(days=30)
AT_MOST = timedelta(days=366)
ROWS_AT_MOST = 400  # more than there are days; of checkpoints those that took the longest
PAGE = 500
REMOVED = "removed"
MS = 1000

SUBMITTED = func.sum(case((COLUMNS.kind == Kind.RESERVE.value, 1), else_=0)).label("submitted")
GENERATIONS = func.sum(COLUMNS.generations).label("generations")
GPU_MS = func.sum(COLUMNS.gpu_ms).label("gpu_ms")


Row: TypeAlias = tuple[str, UUID, Any, int, int, float]
"""A name, an id, something else, how many were submitted, how many count, and the GPU seconds of these."""


class Period(NamedTuple):
    """From one moment up to and without another one."""

    begins_at: datetime
    ends_at: datetime

    @classmethod
    def between(cls, begins_at: datetime | None, ends_at: datetime | None) -> Period:
        """
        The last thirty days where nothing is said; times without a zone are UTC.

        Raises:
            InvalidRequest: It ends before it begins, or lasts for more than a year.
        """
        try:
            end = in_utc(ends_at) or now() + A_DAY  # also what is counted at a moment that is still to come
            begin = in_utc(begins_at) or end - WHERE_NOTHING_IS_SAID
        except OverflowError:
            raise period_refused() from None
        if not timedelta(0) < end - begin <= AT_MOST:
            raise period_refused()
        return cls(begin, end)

    def holds(self) -> ColumnElement[bool]:
        return (COLUMNS.counted_at >= self.begins_at) & (COLUMNS.counted_at < self.ends_at)


def in_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def period_refused() -> InvalidRequest:
    message = f"Must be later than `from`, and not by more than {AT_MOST.days} days."
    return InvalidRequest(message, errors=({"field": "to", "code": "out_of_range", "message": message},))


class Usage:
    """One a process."""

    def __init__(self, database: Database, persons: Persons) -> None:
        self._database = database
        self._persons = persons

    async def of_caller(self, owner_id: UUID, address: str, period: Period, by: By) -> UsageView:
        """
        What whoever asks used, the latest day or the longest time first.

        Of who is known by their address alone, nobody knows more than what they used today and yesterday.
        """
        query = sums_by(by, is_postgresql=self._database.is_shared)
        async with self._database.reading() as session:
            person = await self._persons.asking(session, owner_id, address)
            theirs = query.where(COLUMNS.account_id.in_(person.ids), period.holds())
            rows = (await session.execute(theirs.limit(ROWS_AT_MOST))).all()
        items = [UsageRow(str(row.key), int(row.submitted), int(row.generations), seconds(row.gpu_ms)) for row in rows]
        return UsageView(period.begins_at, period.ends_at, by, items)

    def of_people(self, period: Period) -> AsyncIterator[Row]:
        """What everybody with an account used; third stands their plan."""
        return self._rows(select(User.name, User.id, User.plan), User.comparable_name, period)

    def of_groups(self, period: Period) -> AsyncIterator[Row]:
        """What every group used; third stands how many are in it."""
        members = select(func.count()).where(GroupMember.group_id == Group.id).scalar_subquery()
        return self._rows(select(Group.name, Group.id, members), Group.comparable_name, period)

    async def _rows(
        self, accounts: Select[Any], sorted_by: InstrumentedAttribute[str], period: Period
    ) -> AsyncIterator[Row]:
        """
        Page by page, each in a transaction of its own: whoever fetches them slowly holds up nobody.

        Args:
            accounts: A name, an id, and something else that is said of each.
        """
        page, after = accounts.add_columns(sorted_by).order_by(sorted_by).limit(PAGE), ""
        while True:
            async with self._database.reading() as session:
                found = (await session.execute(page.where(sorted_by > after))).all()
                used = await totals(session, [account_id for _name, account_id, *_ in found], period)
            for name, account_id, third, after in found:  # noqa: B007 - the last one says where the next page begins
                submitted, generations, gpu_ms = used.get(account_id, (0, 0, 0))
                yield name, account_id, third, int(submitted), int(generations), seconds(gpu_ms)
            if len(found) < PAGE:
                return


def sums_by(by: By, *, is_postgresql: bool) -> Select[Any]:
    if by == "day":
        at = func.timezone("UTC", COLUMNS.counted_at) if is_postgresql else COLUMNS.counted_at
        day = cast(func.date(at), String).label("key")
        return select(day, SUBMITTED, GENERATIONS, GPU_MS).group_by(day).order_by(desc(day))
    kept = Generation.checkpoint if by == "checkpoint" else Generation.state
    key = func.coalesce(kept, literal(REMOVED)).label("key")
    query = select(key, SUBMITTED, GENERATIONS, GPU_MS).select_from(ENTRIES)
    return query.outerjoin(Generation, Generation.id == COLUMNS.generation_id).group_by(key).order_by(desc(GPU_MS), key)


async def totals(
    session: AsyncSession, account_ids: Collection[UUID], period: Period
) -> dict[UUID, tuple[int, int, int]]:
    """Of each account that has any: submitted, counted, GPU milliseconds."""
    query = select(COLUMNS.account_id, SUBMITTED, GENERATIONS, GPU_MS).group_by(COLUMNS.account_id)
    rows = await session.execute(query.where(COLUMNS.account_id.in_(account_ids), period.holds()))
    return {account_id: (submitted, generations, gpu_ms) for account_id, submitted, generations, gpu_ms in rows}


def seconds(ms: int) -> float:
    return round(int(ms) / MS, 3)
