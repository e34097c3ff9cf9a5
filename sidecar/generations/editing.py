"""What people may change of a generation once it exists: its title, its tags, whether it is a favourite."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

from msgspec import UNSET

from sidecar.database import Database
from sidecar.errors import InvalidRequest
from sidecar.generations.history import owned
from sidecar.generations.models import touch
from sidecar.generations.schemas import TAGS_AT_MOST, GenerationPatch, clean_tags


class Editor:
    """Writes what people say about their generations. One a process."""

    def __init__(self, database: Database, announce: Callable[[UUID], Awaitable[None]]) -> None:
        self._database = database
        self._announce = announce

    async def change(self, owner_id: UUID, generation_id: UUID, patch: GenerationPatch) -> None:
        """
        Raises:
            NotFound: It is not the owner's.
        """
        async with self._database.writing() as session:
            generation = await owned(session, owner_id, generation_id)
            if patch.title is not UNSET:
                generation.title = patch.title.strip()
            if patch.tags is not UNSET:
                generation.tags = clean_tags(patch.tags)
            if patch.favourite is not UNSET:
                generation.favourite = patch.favourite
            touch(generation)
        await self._announce(generation_id)

    async def add_tags(self, owner_id: UUID, generation_id: UUID, tags: Iterable[str]) -> None:
        """
        Raises:
            NotFound: It is not the owner's.
            InvalidRequest: Together with its own they would be too many.
        """
        async with self._database.writing() as session:
            generation = await owned(session, owner_id, generation_id)
            together = clean_tags([*generation.tags, *tags])
            if len(together) > TAGS_AT_MOST:
                raise InvalidRequest(f"A generation has at most {TAGS_AT_MOST} tags. Remove some of its tags first.")
            if together == generation.tags:
                return
            generation.tags = together
            touch(generation)
        await self._announce(generation_id)
