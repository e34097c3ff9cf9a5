"""Heals what is left when a process died between two steps: rows without a token get theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from sidecar.database import Database
from sidecar.gallery.intake import unfinished
from sidecar.generations.queueing import Queueing

log = structlog.get_logger(__name__)


class Sweeper:
    """Runs on a clock. One a process."""

    def __init__(self, database: Database, wake: Callable[[], None], queueing: Queueing) -> None:
        self._database = database
        self._wake = wake
        self._queueing = queueing

    async def sweep_generations(self, _context: Any) -> None:
        """SAQ cron job."""
        self._wake()
        async with self._database.reading() as session:
            left = await unfinished(session)
        for generation_id in left:
            log.info("images_not_kept_yet", generation_id=str(generation_id))
            await self._queueing.keep_images(generation_id)
