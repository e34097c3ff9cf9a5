"""How this process speaks with each ComfyUI."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from sidecar.comfyui.client import ComfyUIClient
from sidecar.database import Database
from sidecar.instances import registry
from sidecar.instances.models import Instance


class Instances:
    """The ComfyUIs there are, and one client for each. One a process; closed when the process stops."""

    def __init__(self, database: Database, pairing_secret: str) -> None:
        self._database = database
        self._pairing_secret = pairing_secret
        self._clients: dict[UUID, ComfyUIClient] = {}
        self._followed_at: dict[str, str] = {}

    async def all(self) -> list[Instance]:
        """Every instance, as it stands now."""
        async with self._database.reading() as session:
            return await registry.instances(session)

    async def client_of(self, instance_id: UUID) -> ComfyUIClient:
        """Also of an instance that was removed: what it made may still have to be fetched."""
        known = self._clients.get(instance_id)
        if known is not None and known.listens:
            return known  # it hears for itself what the database could tell
        query = select(Instance.url, Instance.comfyui_version, Instance.pack_version, Instance.directories)
        async with self._database.reading() as session:
            found = (await session.execute(query.where(Instance.id == instance_id))).one()
        if instance_id not in self._clients:
            self._clients[instance_id] = ComfyUIClient(
                found.url, self._pairing_secret, instance_id=instance_id, followed_at=self._followed_at
            )
        client = self._clients[instance_id]
        client.had_pack = bool(found.pack_version)
        if found.comfyui_version:  # nothing is known of one that was never met
            client.learn(has_pack=bool(found.pack_version), directories=found.directories)
        return client

    async def close(self) -> None:
        while self._clients:
            _, client = self._clients.popitem()
            await client.close()
