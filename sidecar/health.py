"""Is it alive, and what of it is there?"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from msgspec import structs
from saq import Queue
from sqlalchemy import text

from sidecar import __version__
from sidecar.accounts.authentication import caller_if_any
from sidecar.accounts.recognition import Recognition
from sidecar.database import Database
from sidecar.errors import Away
from sidecar.gallery.storage import ImageStore
from sidecar.generations.backlog import backlog
from sidecar.identity import now
from sidecar.instances import registry
from sidecar.instances.models import Connection, Instance

NEVER_THERE = "health"  # a key that no image has: asking for it costs a look at the disk


class Life(msgspec.Struct):
    """The process answers."""

    state: Literal["live"]
    version: str


class PartHealth(msgspec.Struct):
    """One part of the sidecar. `since` is when this process found it so for the first time."""

    state: Literal["ok", "away"]
    since: datetime
    for_s: float
    reason: str = ""


class InstanceHealth(msgspec.Struct):
    """
    One ComfyUI. One that is away or set aside is no fault of the sidecar's: it goes on accepting.

    `set_aside`: it is there, failed again and again, and gets nothing until it has answered a probe.
    """

    id: UUID
    name: str
    url: str
    state: Literal["connected", "away", "set_aside"]
    wanted: Literal["active", "draining", "paused"]
    since: datetime
    for_s: float
    version: str
    reason: str


class WaitingHealth(msgspec.Struct):
    """What waits for its turn. `estimated_s` is None where nothing is known of how long anything takes."""

    generations: int
    estimated_s: float | None


class Health(msgspec.Struct):
    """
    What is there and what is not, since when, and what waits for it. Whoever is no administrator hears neither reasons
    nor of instances and of what waits.
    """

    ready: bool
    version: str
    database: PartHealth
    queue: PartHealth
    storage: PartHealth
    instances: list[InstanceHealth]
    waiting: WaitingHealth | None
    """None while the database is away."""

    def for_everybody(self) -> Health:
        """Without what says where things are and how much is done: that is for administrators."""
        parts = {name: structs.replace(getattr(self, name), reason="") for name in ("database", "queue", "storage")}
        return structs.replace(self, **parts, instances=[], waiting=None)


class HealthCheck:
    """Asks every part how it is, whenever somebody wants to know. One a process."""

    def __init__(self, database: Database, queue: Queue, store: ImageStore) -> None:
        self._database = database
        self._queue = queue
        self._store = store
        self._found: dict[str, tuple[str, datetime]] = {}
        """Part -> its state and since when, as far as this process has looked."""

    async def look(self) -> Health:
        database = self._noted("database", await reason_of(self._ask_database()))
        queue = self._noted("queue", await reason_of(self._queue.count("queued")))
        storage = self._noted("storage", await reason_of(self._store.has(NEVER_THERE)))
        return Health(
            # Without its storage it goes on as well: images are fetched when it is back.
            ready=database.state == queue.state == "ok",
            version=__version__,
            database=database,
            queue=queue,
            storage=storage,
            instances=await self._instances() if database.state == "ok" else [],
            waiting=await self._waiting() if database.state == "ok" else None,
        )

    def _noted(self, part: str, reason: str) -> PartHealth:
        state: Literal["ok", "away"] = "away" if reason else "ok"
        before, since = self._found.get(part, ("", now()))
        if state != before:
            since = now()
        self._found[part] = (state, since)
        return PartHealth(state, since, seconds_since(since), reason)

    async def _ask_database(self) -> None:
        async with self._database.reading() as session:
            await session.execute(text("SELECT 1"))

    async def _instances(self) -> list[InstanceHealth]:
        async with self._database.reading() as session:
            return [to_health(found) for found in await registry.instances(session)]

    async def _waiting(self) -> WaitingHealth:
        async with self._database.reading() as session:
            found = await backlog(session)
        return WaitingHealth(found.generations, found.estimated_s)


async def reason_of(asking: Awaitable[object]) -> str:
    """Why a part is away; empty when it answers."""
    try:
        await asking
    except Away as exc:
        return exc.message
    return ""


def to_health(instance: Instance) -> InstanceHealth:
    set_aside_at = instance.set_aside_at if instance.state == Connection.CONNECTED.value else None
    since = set_aside_at or instance.since
    return InstanceHealth(
        id=instance.id,
        name=instance.name,
        url=instance.url,
        state="set_aside" if set_aside_at else Connection(instance.state).value,
        wanted=cast(Any, instance.wanted),
        since=since,
        for_s=seconds_since(since),
        version=instance.comfyui_version,
        reason=instance.evidence[0]["reason"] if set_aside_at else instance.reason,
    )


def seconds_since(moment: datetime) -> float:
    return round((now() - moment).total_seconds(), 1)


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
async def ready(
    request: Request[Any, Any, Any],
    health_check: NamedDependency[HealthCheck],
    recognition: NamedDependency[Recognition],
) -> Response[Health]:
    """It can do its work; a ComfyUI that is away does not change that."""
    health = await health_check.look()
    caller = await caller_if_any(request, recognition)
    if caller is None or not caller.is_admin:
        health = health.for_everybody()
    return Response(health, status_code=HTTP_200_OK if health.ready else HTTP_503_SERVICE_UNAVAILABLE)


ROUTES: list[Any] = [live, ready]
