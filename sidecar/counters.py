"""Numbers that only grow, and that every process must agree on: each has a row."""

from __future__ import annotations

from sqlalchemy import BigInteger, String, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.database import Base

TERMS = "terms"  #: how often a process came to lead all the others
LIMITS = "limits"  #: how often plans, overrides or groups have changed
PURGED = "purged"  #: the highest number of a generation that was removed for good: nobody gets it again


class Counter(Base):
    """One number."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


async def value_of(session: AsyncSession, name: str) -> int:
    return await session.scalar(select(Counter.value).where(Counter.name == name)) or 0


async def count_up(session: AsyncSession, name: str, *, at_least: int = 0) -> int:
    """In a writing transaction, so that no two count to the same number; gives the new one."""
    await raise_to(session, name, at_least - 1)
    await session.execute(update(Counter).where(Counter.name == name).values(value=Counter.value + 1))
    return await value_of(session, name)


async def raise_to(session: AsyncSession, name: str, value: int) -> None:
    """At least this from now on."""
    await session.execute(update(Counter).where(Counter.name == name, Counter.value < value).values(value=value))
