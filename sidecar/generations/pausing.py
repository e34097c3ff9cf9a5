"""The whole queue stands still while somebody wants it to: everything is taken in, nothing is let go."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.database import Base, DateTimeUTC
from sidecar.identity import now

REASON_CHARACTERS = 400
THE_ONE = "all"


class QueuePause(Base):
    """There is one row while the queue is paused, and none else."""

    __tablename__ = "queue_pause"

    queue: Mapped[str] = mapped_column(String(16), primary_key=True, default=THE_ONE)
    reason: Mapped[str] = mapped_column(String(REASON_CHARACTERS), default="")
    """For those who wait."""
    since: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


async def pause_of(session: AsyncSession) -> QueuePause | None:
    return await session.get(QueuePause, THE_ONE)


async def pause(session: AsyncSession, reason: str) -> None:
    found = await pause_of(session)
    if found is None:
        found = QueuePause(since=now())
        session.add(found)
    found.reason = reason


async def resume(session: AsyncSession) -> None:
    found = await pause_of(session)
    if found is not None:
        await session.delete(found)
