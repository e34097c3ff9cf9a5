"""
Outcomes are written down whoever leads, and also when nobody does.

Whoever leads hears of each at once (`following.py`). This is for what it did not hear, or cannot write down because it
hangs: any worker asks the instances now and then, with the same function.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select

from sidecar.database import Database
from sidecar.errors import Away
from sidecar.generations.models import Generation, is_in_flight
from sidecar.generations.recorder import Recorders
from sidecar.instances.models import Instance
from sidecar.instances.standing import is_met

log = structlog.get_logger(__name__)


class Collecting:
    """Runs on a clock. One a process."""

    def __init__(self, database: Database, recorders: Recorders) -> None:
        self._database = database
        self._recorders = recorders

    async def collect_outcomes(self, _context: Any) -> None:
        """SAQ cron job."""
        busy = select(Generation.instance_id).where(is_in_flight())
        async with self._database.reading() as session:
            found = list(await session.scalars(select(Instance.id).where(is_met(), Instance.id.in_(busy))))
        await asyncio.gather(*map(self._collect, found))

    async def _collect(self, instance_id: UUID) -> None:
        try:
            await (await self._recorders.of(instance_id)).collect()
        except Away:
            log.info("outcomes_not_collected", instance_id=str(instance_id), exc_info=True)  # the clock comes again
        except Exception:
            # A fault of ours, told in full: one instance must not hold up the others.
            log.exception("collecting_failed", instance_id=str(instance_id))
