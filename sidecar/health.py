"""Is it alive, and what of it is there?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from saq import Queue
from sqlalchemy import text

from sidecar import __version__
from sidecar.database import Database
from sidecar.errors import DatabaseUnavailable, QueueUnavailable
from sidecar.instances.connections import Instances
from sidecar.instances.models import Connection


class Life(msgspec.Struct):
    """The process answers."""

    state: Literal["live"]
    version: str


class PartHealth(msgspec.Struct):
    """One part of the sidecar."""

    state: Literal["ok", "away"]
    reason: str = ""


class InstanceHealth(msgspec.Struct):
    """One ComfyUI. Away is no fault of the sidecar's: it goes on accepting."""

    id: UUID
    name: str
    state: Literal["connected", "away"]
    since: datetime
    url: str
    version: str
    reason: str


class Health(msgspec.Struct):
    """What is there and what is not."""

    ready: bool
    version: str
    database: PartHealth
    queue: PartHealth
    instances: list[InstanceHealth]


@dataclass(frozen=True)
class HealthCheck:
    """Asks every part how it is."""

    database: Database
    queue: Queue
    instances: Instances

    async def look(self) -> Health:
        database, queue = await self._database(), await self._queue()
        return Health(
            ready=database.state == queue.state == "ok",
            version=__version__,
            database=database,
            queue=queue,
            instances=await self._instances() if database.state == "ok" else [],
        )

    async def _database(self) -> PartHealth:
        try:
            async with self.database.reading() as session:
                await session.execute(text("SELECT 1"))
        except DatabaseUnavailable as exc:
            return PartHealth("away", type(exc).__name__)
        return PartHealth("ok")

    async def _instances(self) -> list[InstanceHealth]:
        return [
            InstanceHealth(
                id=instance.id,
                name=instance.name,
                state=Connection(instance.state).value,
                since=instance.since,
                url=instance.url,
                version=instance.comfyui_version,
                reason=instance.reason,
            )
            for instance in await self.instances.all()
        ]

    async def _queue(self) -> PartHealth:
        try:
            await self.queue.count("queued")
        except QueueUnavailable as exc:
            return PartHealth("away", type(exc).__name__)
        return PartHealth("ok")


@get("/health/live", sync_to_thread=False)
def live() -> Life:
    """The process runs."""
    return Life("live", __version__)


@get(
    "/health/ready",
    responses={
        HTTP_503_SERVICE_UNAVAILABLE: ResponseSpec(Health, description="It cannot do its work", generate_examples=False)
    },
)
async def ready(health_check: NamedDependency[HealthCheck]) -> Response[Health]:
    """It can do its work; a ComfyUI that is away does not change that."""
    health = await health_check.look()
    return Response(health, status_code=HTTP_200_OK if health.ready else HTTP_503_SERVICE_UNAVAILABLE)


ROUTES: list[Any] = [live, ready]
