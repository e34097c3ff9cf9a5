"""
`genonaut models refresh` and `genonaut models list`: the catalogue for whoever sits at a terminal.

They work on the database itself, whether a sidecar runs or not; one that runs notices within ten seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import UUID

from sidecar.catalog.catalog import Catalog
from sidecar.catalog.discovery import Discovery
from sidecar.catalog.schemas import InstanceRefreshed
from sidecar.catalog.snapshot import KnownModel
from sidecar.comfyui.model_lists import ModelKind
from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.instances.connections import Instances
from sidecar.migrations import upgrade
from sidecar.settings import Settings


async def refresh_models(settings: Settings) -> list[str]:
    """
    Ask every instance which models it has; what each of them answered, line by line.

    Raises:
        NotFound: There is no instance to ask.
    """
    async with instances_of(settings) as (database, instances):
        refreshed = await Discovery(database, Catalog(database), instances).refresh()
    if not refreshed.instances:
        raise NotFound("No ComfyUI is registered yet. Start the sidecar once: genonaut serve")
    return [told(instance) for instance in refreshed.instances]


async def list_models(settings: Settings, *, kind: ModelKind | None = None, q: str = "") -> list[str]:
    """Every model that is known, line by line: its kind, whether it can be used, its name, and who has it."""
    async with instances_of(settings) as (database, instances):
        catalog = Catalog(database)
        await catalog.load()
        names = {instance.id: instance.name for instance in await instances.all()}
    return list(lines(catalog.snapshot.matching(kind=kind, q=q), names))


@asynccontextmanager
async def instances_of(settings: Settings) -> AsyncIterator[tuple[Database, Instances]]:
    database = Database(settings.database_url)
    instances = Instances(database, settings.pairing_secret)
    try:
        await upgrade(database.engine)
        yield database, instances
    finally:
        await instances.close()
        await database.close()


def told(instance: InstanceRefreshed) -> str:
    if instance.state == "away":
        return f"{instance.name}: {instance.reason}"
    return f"{instance.name}: {instance.models} models, {instance.added} new, {instance.vanished} gone"


def lines(models: list[KnownModel], names: dict[UUID, str]) -> Iterator[str]:
    for model in models:
        having = ", ".join(names[instance_id] for instance_id in model.instances if instance_id in names)
        yield f"{model.kind.value:<10}  {state_of(model):<4}  {model.name}" + (f"  ({having})" if having else "")


def state_of(model: KnownModel) -> str:
    if not model.active:
        return "off"
    return "on" if model.available else "gone"
