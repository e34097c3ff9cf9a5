"""
What is held until a moment is let go at that moment.

There is one token for the next moment at which something is let go, whoever waits and however many: when it is worked
off it makes the one for the moment after. The sweeper makes it anew where it was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, text

from sidecar.database import Database
from sidecar.generations.models import Generation
from sidecar.generations.queueing import Queueing
from sidecar.identity import now

# In the words of its index, and without a parameter for what that is about.
NEXT = (
    select(Generation.not_before)
    .where(text("state = 'pending'"), Generation.not_before > bindparam("at"))
    .order_by(Generation.not_before)
    .limit(1)
)


class Releasing:
    """Lets go what was held. One a process."""

    def __init__(self, database: Database, wake: Callable[[], None], queueing: Queueing) -> None:
        self._database = database
        self._wake = wake
        self._queueing = queueing

    async def release_held(self, _context: Any, *, moment: str) -> None:
        """
        SAQ job. It comes a moment too early, since queues count in whole seconds, and waits for the rest.

        Whose turn it is then, and who may go at all, the database says.
        """
        due = datetime.fromisoformat(moment)
        while (early_s := (due - now()).total_seconds()) > 0:  # noqa: ASYNC110 - a clock tells no event
            await asyncio.sleep(early_s)
        self._wake()
        await self.make_sure()

    async def make_sure(self) -> None:
        """Have a token for the next moment at which something is let go."""
        async with self._database.reading() as session:
            following: datetime | None = await session.scalar(NEXT, {"at": now()})
        if following is not None:
            await self._queueing.release(following)
