"""Where the files of a generation are: with the instance that made them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from sidecar.comfyui.client import ComfyUIClient
from sidecar.database import Database
from sidecar.errors import OutputGone
from sidecar.generations.models import Generation
from sidecar.instances.connections import Instances


class OutputSources:
    """Tells which ComfyUI to ask for an image (gallery.sources.ImageSources). One a process."""

    def __init__(self, database: Database, instances: Instances) -> None:
        self._database = database
        self._instances = instances

    async def source_of(self, generation_id: UUID) -> ComfyUIClient:
        """
        Raises:
            OutputGone: No instance is known to have made it.
        """
        async with self._database.reading() as session:
            instance_id = await session.scalar(select(Generation.instance_id).where(Generation.id == generation_id))
        if instance_id is None:
            raise OutputGone
        return await self._instances.client_of(instance_id)
