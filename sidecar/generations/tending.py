"""What a clock does for instances: it probes those that are set aside, and pauses those that have finished draining."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select

from sidecar.database import Database
from sidecar.errors import Away
from sidecar.generations.in_flight import count_in_flight
from sidecar.identity import now
from sidecar.instances import standing
from sidecar.instances.connections import Instances
from sidecar.instances.models import Instance, Wanted

log = structlog.get_logger(__name__)


class Tending:
    """Runs on a clock. One a process."""

    def __init__(self, database: Database, instances: Instances, wake: Callable[[], None]) -> None:
        self._database = database
        self._instances = instances
        self._wake = wake

    async def tend_instances(self, _context: Any) -> None:
        """SAQ cron job."""
        await self._pause_drained()
        async with self._database.reading() as session:
            due = list(await session.scalars(select(Instance.id).where(standing.is_to_be_probed(now()))))
        for instance_id in due:
            await self._probe(instance_id)

    async def _probe(self, instance_id: UUID) -> None:
        comfyui = await self._instances.client_of(instance_id)
        try:
            await comfyui.system_stats()
            answers = True
        except Away:
            answers = False
        async with self._database.writing() as session:
            standing.probed(await session.get_one(Instance, instance_id), answers=answers, at=now())
        self._wake()

    async def _pause_drained(self) -> None:
        async with self._database.reading() as session:
            if not await session.scalar(select(Instance.id).where(Instance.wanted == Wanted.DRAINING.value)):
                return
        async with self._database.writing() as session:
            taken = await count_in_flight(session)
            for instance in await session.scalars(select(Instance).where(Instance.wanted == Wanted.DRAINING.value)):
                if not taken.get(instance.id):
                    instance.wanted = Wanted.PAUSED.value
                    log.info("instance_drained", instance=instance.name, url=instance.url)
