"""
Whoever is let in no longer, or as somebody else than before, is so at once: in every process, with whatever they have
open.

Each change is written down as a moment in the person's row (`touch`), in the transaction that makes it. Whoever has
made it tells this process (`Changes.tell`) and by the bus all others. What neither can reach, such as a change at the
command line, or one told while the bus was interrupted, is found by looking for such moments every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select

from sidecar.accounts.models import User
from sidecar.cluster.bus import Bus
from sidecar.database import Database
from sidecar.errors import DatabaseUnavailable
from sidecar.identity import now

CALLERS = "callers"
"""The topic under which processes tell one another whose credentials have changed."""

LOOK_EVERY_S = 5.0
OVERLAP = timedelta(minutes=1)  # by which clocks may differ, and for which a transaction may take
AT_THE_START = timedelta(days=1)  # for which a ComfyUI may have kept what it was told before this process came

log = structlog.get_logger(__name__)


class Changes:
    """Whose credentials have changed. One a process."""

    def __init__(self, database: Database, bus: Bus) -> None:
        self._database = database
        self._bus = bus
        self._hearers: list[Callable[[UUID], None]] = []
        self._since = now() - AT_THE_START
        self._heard: dict[UUID, datetime] = {}
        bus.on(CALLERS, self._hear_elsewhere)

    def on(self, hear: Callable[[UUID], None]) -> None:
        """What to do when somebody's credentials have changed; perhaps more than once for one change."""
        self._hearers.append(hear)

    def tell(self, user: User) -> None:
        """This person's credentials have just changed (`touch`), and that is committed."""
        self._bus.tell(CALLERS, (user.id, user.credentials_changed_at))
        self._hear(user.id, user.credentials_changed_at)

    async def stay_true(self) -> None:
        """Look for changes that nobody told, until cancelled."""
        while True:
            try:
                await self.look()
            except DatabaseUnavailable as exc:
                log.warning("credentials_not_looked_up", reason=exc.message)
            except Exception:
                log.exception("credentials_not_looked_up")  # a fault of ours, told in full, and tried again
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        at = now()
        changed = select(User.id, User.credentials_changed_at).where(
            User.credentials_changed_at >= self._since,
            User.credentials_changed_at != User.created_at,  # whoever is new has nothing open
        )
        async with self._database.reading() as session:
            found = {row.id: row.credentials_changed_at for row in await session.execute(changed)}
        known, self._heard, self._since = self._heard, {}, at - OVERLAP
        for user_id, moment in found.items():
            self._hear(user_id, moment, known=known.get(user_id))

    async def _hear_elsewhere(self, news: object) -> None:
        self._hear(*msgspec.convert(news, tuple[UUID, datetime]))

    def _hear(self, user_id: UUID, moment: datetime, *, known: datetime | None = None) -> None:
        """
        Args:
            known: The latest change of which was heard already.
        """
        self._heard[user_id] = moment
        if known is None or known < moment:
            for hear in self._hearers:
                hear(user_id)


def touch(user: User) -> None:
    """Something changed that says whether this person is let in, and as what."""
    # Later than before in any case, whatever a clock says: whoever looks compares.
    user.credentials_changed_at = max(now(), user.credentials_changed_at + timedelta(microseconds=1))
