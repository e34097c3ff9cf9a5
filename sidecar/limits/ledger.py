"""
What everybody has used, entry by entry.

A generation is reserved when it enters, with the seconds that it will probably take, and settled with those that it
took when it is completed, or has left files; everything is returned when it ends in another way. All of it is counted
at one moment: when it entered, or when a limit lets it. Each of these is an entry for the person and one for each of
their groups, written in the transaction that makes it so. Nothing is ever added up beside them, so they can be held
against the generations at any time: an open one comes to itself and its estimate, one that counts to itself and what it
took, any other to nothing (`generations/accounting.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, String, bindparam, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.database import GUID, Base, DateTimeUTC, table_of
from sidecar.identity import now, uuid7
from sidecar.limits.windows import LONGEST, Amount, Counted, Tally

NOTHING = Amount(0, 0)


class Kind(str, Enum):
    RESERVE = "reserve"  #: it entered
    SETTLE = "settle"  #: it counts: what it took, less what was reserved
    RETURN = "return"  #: it ended in another way: what was reserved is given back


class UsageEntry(Base):
    """What a generation adds to an account, or takes off it. An account is a person, or a group."""

    __tablename__ = "usage_entries"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(GUID)
    generation_id: Mapped[UUID] = mapped_column(GUID)
    """No foreign key: what was used is used, also when the generation was removed for good."""
    kind: Mapped[str] = mapped_column(String(8))
    generations: Mapped[int] = mapped_column(Integer)
    gpu_ms: Mapped[int] = mapped_column(BigInteger)
    counted_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    """The same for all entries of a generation; in the future while a limit holds it back."""
    at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    """When it was written."""

    __table_args__ = (
        # A window is one sum over this index alone, and so is what was used by day.
        Index("ix_usage_entries_window", "account_id", "counted_at", "generations", "gpu_ms", "kind"),
        Index("ix_usage_entries_generation", "generation_id"),
        # Who got something back lately, and so may have somebody who need not wait for so long any more.
        Index(
            "ix_usage_entries_given_back",
            "at",
            "account_id",
            sqlite_where=text("kind <> 'reserve'"),
            postgresql_where=text("kind <> 'reserve'"),
        ),
    )


class Reservation(NamedTuple):
    """A generation that enters, and the accounts that it is counted for."""

    generation_id: UUID
    account_ids: tuple[UUID, ...]
    gpu_ms: int
    counted_at: datetime


class Held(NamedTuple):
    """What an account has of a generation, all entries together."""

    generation_id: UUID
    account_id: UUID
    counted_at: datetime
    amount: Amount


ENTRIES = table_of(UsageEntry)
COLUMNS = ENTRIES.c
ENTER = insert(ENTRIES)
TALLIES = (
    select(COLUMNS.account_id, COLUMNS.counted_at, func.sum(COLUMNS.generations), func.sum(COLUMNS.gpu_ms))
    .where(COLUMNS.account_id.in_(bindparam("accounts", expanding=True)), COLUMNS.counted_at > bindparam("since"))
    .group_by(COLUMNS.account_id, COLUMNS.counted_at)
)
HELD = (
    select(
        COLUMNS.generation_id,
        COLUMNS.account_id,
        COLUMNS.counted_at,
        func.sum(COLUMNS.generations),
        func.sum(COLUMNS.gpu_ms),
    )
    .where(COLUMNS.generation_id.in_(bindparam("generations", expanding=True)))
    .group_by(COLUMNS.generation_id, COLUMNS.account_id, COLUMNS.counted_at)
)
COUNTED_ANEW = update(ENTRIES).where(COLUMNS.generation_id == bindparam("generation"))


async def reserve(session: AsyncSession, reservations: Iterable[Reservation], *, at: datetime) -> None:
    """Count what enters, in the transaction that writes it down."""
    rows = [
        entry(each.generation_id, account_id, Kind.RESERVE, Amount(1, each.gpu_ms), each.counted_at, at)
        for each in reservations
        for account_id in each.account_ids
    ]
    if rows:
        await session.execute(ENTER, rows)


async def settle(session: AsyncSession, ended: Mapping[UUID, int | None]) -> None:
    """
    Bring the accounts into line with what has ended, in the transaction in which it does. Safe to do again.

    Args:
        ended: The milliseconds that a generation took; None: nothing of it counts.
    """
    at, rows = now(), []
    for held in await held_by_accounts(session, ended):
        took_ms = ended[held.generation_id]
        due = NOTHING if took_ms is None else Amount(1, took_ms)
        change = Amount(due.generations - held.amount.generations, due.gpu_ms - held.amount.gpu_ms)
        if change != NOTHING:
            kind = Kind.RETURN if took_ms is None else Kind.SETTLE
            rows.append(entry(held.generation_id, held.account_id, kind, change, held.counted_at, at))
    if rows:
        await session.execute(ENTER, rows)


async def count_anew(session: AsyncSession, moments: Mapping[UUID, datetime]) -> None:
    """Count these generations at other moments: those at which a limit lets them in now."""
    for generation_id, moment in moments.items():
        await session.execute(COUNTED_ANEW.values(counted_at=moment), {"generation": generation_id})


async def count_no_longer(session: AsyncSession, held: Iterable[Held]) -> None:
    """What has not come yet is not counted for these accounts any more."""
    for each in held:
        is_it = (COLUMNS.generation_id == each.generation_id) & (COLUMNS.account_id == each.account_id)
        await session.execute(delete(ENTRIES).where(is_it))


async def held_by_accounts(session: AsyncSession, generation_ids: Collection[UUID]) -> list[Held]:
    """What is counted of some generations now."""
    rows = await session.execute(HELD, {"generations": list(generation_ids)})
    return [
        Held(generation_id, account_id, counted_at, Amount(int(generations), int(gpu_ms)))
        for generation_id, account_id, counted_at, generations, gpu_ms in rows
    ]


async def tallies(session: AsyncSession, account_ids: Collection[UUID], *, at: datetime) -> dict[UUID, list[Counted]]:
    """What was counted for some accounts, as far back as any window reaches; what was given back is not in it."""
    found: dict[UUID, list[Counted]] = defaultdict(list)
    for account_id, counted_at, generations, gpu_ms in await session.execute(
        TALLIES, {"accounts": list(account_ids), "since": at - LONGEST}
    ):
        if generations or gpu_ms:
            found[account_id].append(Counted(counted_at, int(generations), int(gpu_ms)))
    return found


async def tally(session: AsyncSession, account_ids: Collection[UUID], *, at: datetime) -> Tally:
    """The same for one that has several ids, as an address has from one day to the next."""
    found = await tallies(session, account_ids, at=at)
    return Tally(counted for each in found.values() for counted in each)


def entry(
    generation_id: UUID, account_id: UUID, kind: Kind, amount: Amount, counted_at: datetime, at: datetime
) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "account_id": account_id,
        "generation_id": generation_id,
        "kind": kind.value,
        "generations": amount.generations,
        "gpu_ms": amount.gpu_ms,
        "counted_at": counted_at,
        "at": at,
    }
