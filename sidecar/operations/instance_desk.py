"""What an admin sees of the instances, and does with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.comfyui.http import is_usable
from sidecar.database import Database
from sidecar.errors import InstanceBusy, InstanceFromSettings, InstanceKnown, InvalidRequest
from sidecar.generations.in_flight import count_in_flight
from sidecar.instances import registry, standing
from sidecar.instances.models import Connection, Instance, Wanted
from sidecar.operations.schemas import InstanceFailure, InstancePatch, InstanceView, NewInstance

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class InstanceDesk:
    """One a process."""

    database: Database
    changed: Callable[[], None]
    """Instances came, went, or are wanted otherwise."""

    async def list(self) -> list[InstanceView]:
        async with self.database.reading() as session:
            taken = await count_in_flight(session)
            return [to_view(found, taken.get(found.id, 0)) for found in await registry.instances(session)]

    async def show(self, instance_id: UUID) -> InstanceView:
        """
        Raises:
            NotFound: There is none.
        """
        async with self.database.reading() as session:
            found = await registry.instance(session, instance_id)
            return to_view(found, (await count_in_flight(session)).get(instance_id, 0))

    async def register(self, wanted: NewInstance) -> InstanceView:
        """
        Raises:
            InvalidRequest: No ComfyUI can have this address.
            InstanceKnown: It is registered already.
        """
        url = wanted.url.rstrip("/")
        if not is_usable(url):
            raise InvalidRequest(
                "This address cannot be used. Write it as a browser would, without a name, password or query: "
                "http://HOST:PORT."
            )
        async with self.database.writing() as session:
            if await is_registered(session, url):
                raise InstanceKnown
            name = wanted.name if isinstance(wanted.name, str) else ""
            found = await registry.register(session, url, name=name, wanted=Wanted(wanted.wanted))
        log.info("instance_registered", instance=found.name, url=url)
        self.changed()
        return await self.show(found.id)

    async def change(self, instance_id: UUID, patch: InstancePatch) -> InstanceView:
        """
        Raises:
            NotFound: There is none.
        """
        async with self.database.writing() as session:
            found = await registry.instance(session, instance_id)
            if isinstance(patch.name, str):
                found.name = patch.name
            if isinstance(patch.wanted, str):
                found.wanted = Wanted(patch.wanted).value
            if patch.wanted == Wanted.ACTIVE.value:
                standing.trusted_anew(found)
        log.info("instance_changed", instance=found.name, url=found.url, wanted=found.wanted)
        self.changed()
        return await self.show(instance_id)

    async def remove(self, instance_id: UUID) -> None:
        """
        From here on it is none of ours. What it had in its hands is taken back by whoever leads, who alone knows what
        is on its way there.

        Raises:
            NotFound: There is none.
            InstanceFromSettings: It would be back after the next start.
            InstanceBusy: It works on something.
        """
        async with self.database.writing() as session:
            found = await registry.instance(session, instance_id)
            if found.from_settings:
                raise InstanceFromSettings
            in_flight = (await count_in_flight(session)).get(instance_id, 0)
            if in_flight and found.state == Connection.CONNECTED.value:
                raise InstanceBusy
            registry.remove(found)
        log.info("instance_removed", instance=found.name, url=found.url)
        self.changed()

    async def keep_configured(self, urls: Sequence[str]) -> None:
        """Have those instances from the setting that it names now; the others are removed."""
        async with self.database.writing() as session:
            for gone in await registry.keep_configured(session, urls):
                registry.remove(gone)


async def is_registered(session: AsyncSession, url: str) -> bool:
    query = select(Instance.id).where(Instance.url == url, Instance.wanted != Wanted.REMOVED.value)
    return await session.scalar(query) is not None


def to_view(found: Instance, in_flight: int) -> InstanceView:
    copied = {name: getattr(found, name) for name in COPIED}
    return InstanceView(
        **copied,
        in_flight=in_flight,
        pack_version=found.pack_version or None,
        evidence=msgspec.convert(found.evidence, list[InstanceFailure]),
    )


COPIED = frozenset(InstanceView.__struct_fields__) - {"in_flight", "pack_version", "evidence"}
