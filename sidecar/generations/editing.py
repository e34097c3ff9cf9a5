"""What changes of a generation besides its state: its title, its tags, whether it is a favourite, its images."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from sidecar.database import Database
from sidecar.errors import InvalidRequest
from sidecar.generations.history import owned
from sidecar.generations.models import Generation, touch
from sidecar.generations.schemas import TAGS_AT_MOST, GenerationPatch, clean_tags
from sidecar.generations.search import find_anew


class Editor:
    """Changes generations, so that whoever looks sees which of two tellings is the newer one. One a process."""

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
            if not (patch.title is UNSET and patch.tags is UNSET):
                await find_anew(session, generation)
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
            await find_anew(session, generation)
        await self._announce(generation_id)


class NewImages:
    """Says of a generation that its images have changed (gallery.intake.ImageNews). One a process."""

    def __init__(self, announce: Callable[[UUID], Awaitable[None]]) -> None:
        self._announce = announce

    async def tell(self, generation_id: UUID) -> None:
        await self._announce(generation_id)

    async def note(self, session: AsyncSession, generation_id: UUID) -> None:
        generation = await session.get(Generation, generation_id, options=[load_only(Generation.updated_at)])
        if generation is not None:
            touch(generation)
