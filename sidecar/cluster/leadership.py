"""What only one process may do at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.database import Database

AGAIN_AFTER_S = 1.0

Work = Callable[[], Coroutine[Any, Any, None]]

log = structlog.get_logger(__name__)


class Leadership:
    """That of a process that is alone: it leads from the beginning."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lead(self, work: Work) -> None:
        """Do this for as long as this process leads, and again whenever it leads again, until cancelled."""
        while True:
            try:
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
