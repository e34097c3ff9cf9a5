"""What is known of models, held in memory; read again when it has changed, by whichever process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.catalog.models import CatalogVersion, Listing, Model, ModelInstance
from sidecar.catalog.schemas import ModelPage, ModelView
from sidecar.catalog.snapshot import InstanceListing, KnownModel, Snapshot, Version, position_of
from sidecar.comfyui.model_lists import ModelKind
from sidecar.cursors import decode_cursor, encode_cursor
from sidecar.database import Database
from sidecar.errors import DatabaseUnavailable, NotFound
from sidecar.instances.models import Instance, Wanted

LOOK_EVERY_S = 10.0

log = structlog.get_logger(__name__)


class Position(msgspec.Struct, array_like=True):
    """Where a page ended."""

    kind: str
    folded: str
    name: str


class Catalog:
    """The models as this process knows them. One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.snapshot = Snapshot()
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Read everything anew. One after the other: what was read first must not be taken for the latest."""
        async with self._loading, self._database.reading() as session:
            self.snapshot = await read_snapshot(session)

    async def stay_true(self) -> None:
        """Notice what other processes change (another server, the command line), until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                async with self._database.reading() as session:
                    changed = await version_of(session) != self.snapshot.version
                if changed:
                    await self.load()
            except DatabaseUnavailable:
                log.warning("catalog_not_looked_at", exc_info=True)
            except Exception:
                log.exception("catalog_not_looked_at")  # a fault of ours, told in full; tried again at the next look

    async def set_active(self, model_id: UUID, *, active: bool) -> ModelView:
        """
        Let a model be asked for, or no longer. What waits already with it goes its way.

        Raises:
            NotFound: There is none with this id.
        """
        async with self._database.writing() as session:
            await count_up(session)
            model = await session.get(Model, model_id)
            if model is None:
                raise NotFound("There is no model with this id.")
            model.active = active
        log.info("model_switched", model_id=str(model_id), name=model.name, active=active)
        await self.load()
        return next(to_view(known) for known in self.snapshot.models if known.id == model_id)

    def page(self, *, kind: ModelKind | None, q: str, active: bool | None, limit: int, cursor: str | None) -> ModelPage:
        """One page, by kind and name."""
        wanted = self.snapshot.matching(kind=kind, q=q, active=active)
        if cursor:
            after = decode_cursor(cursor, Position)
            wanted = [model for model in wanted if position_of(model) > (after.kind, after.folded, after.name)]
        shown = wanted[:limit]
        more = len(wanted) > limit
        return ModelPage(
            [to_view(model) for model in shown], encode_cursor(Position(*position_of(shown[-1]))) if more else None
        )


def to_view(model: KnownModel) -> ModelView:
    return ModelView(
        id=model.id,
        kind=model.kind,
        name=model.name,
        active=model.active,
        available=model.available,
        instances=list(model.instances),
        first_seen=model.first_seen,
        last_seen=model.last_seen,
    )


async def read_snapshot(session: AsyncSession) -> Snapshot:
    version = await version_of(session)
    having: dict[UUID, list[UUID]] = defaultdict(list)
    ours = select(Instance.id).where(Instance.wanted != Wanted.REMOVED.value)
    pairs = select(ModelInstance.model_id, ModelInstance.instance_id).where(ModelInstance.instance_id.in_(ours))
    for model_id, instance_id in await session.execute(pairs.order_by(ModelInstance.instance_id)):
        having[model_id].append(instance_id)
    columns = (Model.id, Model.kind, Model.name, Model.active, Model.first_seen, Model.last_seen)
    models = [
        KnownModel(model_id, ModelKind(kind), name, active, first_seen, last_seen, tuple(having[model_id]))
        for model_id, kind, name, active, first_seen, last_seen in await session.execute(select(*columns))
    ]
    said = (Listing.instance_id, Listing.inputs, Listing.samplers, Listing.schedulers, Listing.node_classes)
    offered = select(*said).where(Listing.instance_id.in_(ours)).order_by(Listing.instance_id)
    listings = [msgspec.convert(row._asdict(), InstanceListing) for row in await session.execute(offered)]
    return Snapshot(version, models, listings)


async def version_of(session: AsyncSession) -> Version:
    """It differs whenever a model, a listing or the number of instances has changed."""
    ours = select(func.count()).where(Instance.wanted != Wanted.REMOVED.value)
    return await session.scalar(select(CatalogVersion.version)) or 0, await session.scalar(ours) or 0


async def count_up(session: AsyncSession) -> None:
    """Part of every change, so that other processes notice it."""
    await session.execute(update(CatalogVersion).values(version=CatalogVersion.version + 1))
