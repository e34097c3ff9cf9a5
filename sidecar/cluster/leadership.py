"""What only one process may do at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

AGAIN_AFTER_S = 1.0

Work = Callable[[], Coroutine[Any, Any, None]]

log = structlog.get_logger(__name__)


class Leadership:
    """That of a process that is alone: it leads from the beginning."""

    async def lead(self, work: Work) -> None:
        """Do this for as long as this process leads, and again whenever it leads again, until cancelled."""
        while True:
            try:
                await work()
            except Exception:
                # A fault of ours or of the database, told in full: a sidecar that accepts and drives nothing is none.
                log.exception("driving_failed")
            await asyncio.sleep(AGAIN_AFTER_S)
