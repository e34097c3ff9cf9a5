"""Asks every ComfyUI which models it has, and writes the answers down."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.catalog.catalog import Catalog, count_up
from sidecar.catalog.models import Listing, Model, ModelInstance
from sidecar.catalog.schemas import InstanceRefreshed, Refreshed
from sidecar.comfyui.model_lists import ModelKind, ModelLists, read_model_lists
from sidecar.comfyui.model_names import comparable
from sidecar.database import Database
from sidecar.errors import ComfyUIAway
from sidecar.identity import now, uuid7
from sidecar.instances.connections import Instances
from sidecar.instances.models import Instance

LOOK_AGAIN_AFTER_S = 10.0  # a program that asks for nonsense must not keep every ComfyUI busy
LOOK_AGAIN_WITHIN_S = 5.0

log = structlog.get_logger(__name__)


class Discovery:
    """Brings the catalogue into line with what the instances have. One a process."""

    def __init__(self, database: Database, catalog: Catalog, instances: Instances) -> None:
        self._database = database
        self._catalog = catalog
        self._instances = instances
        self._met: asyncio.Queue[UUID] = asyncio.Queue()
        self._looked_at = -LOOK_AGAIN_AFTER_S

    def met(self, instance_id: UUID) -> None:
        """An instance is there (again): perhaps it has other models now."""
        self._met.put_nowait(instance_id)

    async def run(self) -> None:
        """Ask each instance that is met, until cancelled. A task of its own: whoever meets one must not wait for it."""
        while True:
            instance_id = await self._met.get()
            try:
                for instance in await self._instances.all():
                    if instance.id == instance_id:
                        await self._refresh_instance(instance)
            except Exception:
                # A fault of ours or of the database, told in full; the clock asks again.
                log.exception("models_not_listed", instance_id=str(instance_id))

    async def refresh_models(self, _context: Any) -> None:
        """SAQ cron job."""
        await self.refresh()

    async def refresh(self) -> Refreshed:
        """Ask every instance. One that is away keeps what it had."""
        instances = await self._instances.all()
        return Refreshed(await asyncio.gather(*(self._refresh_instance(instance) for instance in instances)))

    async def look_again(self) -> None:
        """Somebody names a model that nobody has: perhaps it was put there since. Asks now and then only."""
        if time.monotonic() - self._looked_at < LOOK_AGAIN_AFTER_S:
            return
        try:
            await asyncio.wait_for(self.refresh(), LOOK_AGAIN_WITHIN_S)
        except asyncio.TimeoutError:
            log.warning("models_not_listed_in_time")

    async def _refresh_instance(self, instance: Instance) -> InstanceRefreshed:
        """Ask one instance and write down what it says, in one transaction."""
        self._looked_at = time.monotonic()
        comfyui = await self._instances.client_of(instance.id)
        try:
            lists = await asyncio.to_thread(read_model_lists, await comfyui.object_info())
        except ComfyUIAway as exc:
            log.info("models_not_listed", instance=instance.name, reason=exc.message)
            return InstanceRefreshed(instance.id, instance.name, state="away", reason=exc.message)
        async with self._database.writing() as session:
            added, vanished = await write_lists(session, instance.id, lists, at=now())
        await self._catalog.load()
        models = sum(len(names) for names in lists.names.values())
        log.info("models_listed", instance=instance.name, models=models, added=added, vanished=vanished)
        return InstanceRefreshed(
            instance.id, instance.name, state="listed", models=models, added=added, vanished=vanished
        )


async def write_lists(session: AsyncSession, instance_id: UUID, lists: ModelLists, *, at: datetime) -> tuple[int, int]:
    """Write down what one instance has now; tells how many models are new and how many are gone from it."""
    await count_up(session)
    listed = {(kind, comparable(name)): name for kind, names in lists.names.items() for name in names}
    known = await known_models(session)
    new = {key: uuid7() for key in listed if key not in known}
    if new:
        await session.execute(insert(Model), [new_model(new[key], key, listed[key], at) for key in new])
    known |= new
    had = await had_by(session, instance_id)
    has = {known[key]: name for key, name in listed.items()}
    await session.execute(delete(ModelInstance).where(ModelInstance.instance_id == instance_id))
    if has:
        rows = [{"model_id": model_id, "instance_id": instance_id, "name": name} for model_id, name in has.items()]
        await session.execute(insert(ModelInstance), rows)
        here = select(ModelInstance.model_id).where(ModelInstance.instance_id == instance_id)
        await session.execute(update(Model).where(Model.id.in_(here)).values(last_seen=at))
    await session.merge(
        Listing(
            instance_id=instance_id,
            inputs=msgspec.to_builtins(lists.inputs),
            samplers=lists.samplers,
            schedulers=lists.schedulers,
            node_classes=lists.node_classes,
            listed_at=at,
        )
    )
    return len(new), len(had - has.keys())


async def known_models(session: AsyncSession) -> dict[tuple[ModelKind, str], UUID]:
    rows = await session.execute(select(Model.kind, Model.comparable_name, Model.id))
    return {(ModelKind(kind), name): model_id for kind, name, model_id in rows}


async def had_by(session: AsyncSession, instance_id: UUID) -> set[UUID]:
    return set(await session.scalars(select(ModelInstance.model_id).where(ModelInstance.instance_id == instance_id)))


def new_model(model_id: UUID, key: tuple[ModelKind, str], name: str, at: datetime) -> dict[str, Any]:
    kind, comparable_name = key
    return {
        "id": model_id,
        "kind": kind.value,
        "name": name,
        "comparable_name": comparable_name,
        "active": True,
        "first_seen": at,
        "last_seen": at,
    }
