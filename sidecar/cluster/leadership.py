"""
What only one process may do at a time.

Each time that one begins to lead is a term with a number of its own, greater than all before it: also than those of a
database that was thrown away, which a ComfyUI may remember, since it begins at the clock's milliseconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.counters import TERMS, count_up, raise_to, value_of
from sidecar.database import Database
from sidecar.identity import now

AGAIN_AFTER_S = 1.0

Work = Callable[[], Coroutine[Any, Any, None]]

log = structlog.get_logger(__name__)


class Leadership:
    """That of a process that is alone: it leads from the beginning."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.term: int | None = None
        """Which one this is; None while this process does not lead."""
        self.since: datetime | None = None
        """When the latest one of this process began."""

    async def lead(self, work: Work) -> None:
        """Do this for as long as this process leads, and again whenever it leads again, until cancelled."""
        while True:
            try:
                await self._begin()
                await work()
            except Exception:
                # A fault of ours or of the database, told in full: a sidecar that accepts and drives nothing is none.
                log.exception("driving_failed")
            await asyncio.sleep(AGAIN_AFTER_S)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """
        A transaction (`Database.writing`) in which only the leader may change something.

        Raises:
            LeadershipLost: Another process leads.
        """
        async with self._database.writing() as session:
            yield session

    async def require(self, session: AsyncSession) -> None:
        """
        Raises:
            LeadershipLost: Another process leads.
        """

    async def overtake(self, term: int) -> None:
        """
        A ComfyUI knows of a later term than this one: begin one that is later still, if it is this process that leads.

        Raises:
            LeadershipLost: Another process leads: the term is its.
        """
        async with self.writing() as session:
            await raise_to(session, TERMS, term + 1)
            latest = await value_of(session, TERMS)
        self.term = latest

    async def _begin(self) -> None:
        """From here on, whoever led before is refused; what it wrote until now is committed."""
        async with self._database.writing() as session:
            term = await count_up(session, TERMS, at_least=int(time.time() * 1000))
        self.term, self.since = term, now()
