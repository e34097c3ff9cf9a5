"""What there is to see: lists, one generation, and telling who listens that one has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from sidecar.cursors import decode_cursor, encode_cursor
from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.gallery.expected import images_of
from sidecar.gallery.models import Image
from sidecar.gallery.schemas import to_view as image_view
from sidecar.generations.filters import Filter
from sidecar.generations.finding import NEWEST_FIRST, Position, find
from sidecar.generations.models import Generation, GenerationEvent, Workflow
from sidecar.generations.own_line import Turn, in_turn
from sidecar.generations.places import Places
from sidecar.generations.progress import ProgressBoard
from sidecar.generations.schemas import (
    Failure,
    GenerationPage,
    GenerationView,
    Timeline,
    Transition,
    Waiting,
    WorkflowView,
)
from sidecar.generations.states import FINAL, GenerationState
from sidecar.generations.workflows import unpack_workflow
from sidecar.limits.persons import Persons
from sidecar.limits.reasons import sentence
from sidecar.live_events import LiveEvent, LiveEvents
from sidecar.together import Together

LOOKED_AT_AT_ONCE = 100
EVERYTHING = Filter()
NOT_SHOWN = defer(Generation.submission)  # other packs put into it what they like
THESE = select(Generation).options(NOT_SHOWN).where(Generation.id.in_(bindparam("ids", expanding=True)))
MINE = select(Generation).where(Generation.id == bindparam("id"), Generation.owner_id == bindparam("owner_id"))
MADE = frozenset({"place", "waiting", "waiting_reason", "progress", "error", "images"})
COPIED = frozenset(GenerationView.__struct_fields__) - MADE


class History:
    """
    Reads generations as their owner sees them. One a process.

    Args:
        told: What else to do when something of this person's looks different now.
    """

    def __init__(
        self,
        database: Database,
        board: ProgressBoard,
        live_events: LiveEvents,
        places: Places,
        persons: Persons,
        *,
        told: Iterable[Callable[[UUID], None]],
    ) -> None:
        self._database = database
        self._places = places
        self._persons = persons
        self._board = board
        self._live_events = live_events
        self._told = tuple(told)
        self._looking = Together(self._look_at, at_most=LOOKED_AT_AT_ONCE)
        self._telling = Together(self._tell, at_most=LOOKED_AT_AT_ONCE)

    async def page(
        self, owner_id: UUID, *, limit: int, cursor: str | None = None, wanted: Filter = EVERYTHING
    ) -> GenerationPage:
        """One page, newest first; `cursor` is the `next_cursor` of the page before."""
        after = decode_cursor(cursor, Position) if cursor else None
        await self._places.catch_up()
        async with self._database.reading() as session:
            found = await find(session, owner_id, wanted, after, limit + 1)
            query = (
                select(Generation)
                .options(NOT_SHOWN)
                .where(Generation.id.in_(found))
                .order_by(*NEWEST_FIRST)
                .limit(limit + 1)
            )
            rows = list(await session.scalars(query)) if found else []
            items = await self._views(session, rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return GenerationPage(items, encode_cursor(Position(last.created_at, last.id)) if last else None)

    async def waiting(
        self, owner_id: UUID, address: str | None, *, limit: int, cursor: str | None = None
    ) -> GenerationPage:
        """One page of what waits, next ones first. In `open` access people are told apart by their addresses."""
        after = decode_cursor(cursor, Turn) if cursor else None
        await self._places.catch_up()
        async with self._database.reading() as session:
            person = await self._persons.asking(session, owner_id, address)
            mine = select(Generation).options(NOT_SHOWN).where(Generation.owner_id == owner_id)
            rows = [row[0] for row in await in_turn(session, mine, person.ids, after, limit + 1)]
            items = await self._views(session, rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return GenerationPage(items, encode_cursor(Turn(last.priority, last.turn, last.id)) if last else None)

    async def show(self, owner_id: UUID, generation_id: UUID) -> GenerationView:
        await self._places.catch_up()
        async with self._database.reading() as session:
            return (await self._views(session, [await owned(session, owner_id, generation_id)]))[0]

    async def view(self, generation: Generation) -> GenerationView:
        """One that has just been read or written, without reading it again."""
        return await self._looking.ask(generation)

    async def workflow(self, owner_id: UUID, generation_id: UUID) -> WorkflowView:
        async with self._database.reading() as session:
            generation = await owned(session, owner_id, generation_id)
            row = await session.get_one(Workflow, generation.workflow_hash)
            return unpack_workflow(row)

    async def timeline(self, owner_id: UUID, generation_id: UUID) -> Timeline:
        """Every step that it took, in the order in which they happened."""
        async with self._database.reading() as session:
            await owned(session, owner_id, generation_id)
            events = await session.scalars(
                select(GenerationEvent)
                .where(GenerationEvent.generation_id == generation_id)
                .order_by(GenerationEvent.at, GenerationEvent.id)
            )
            return Timeline([msgspec.convert(event, Transition, from_attributes=True) for event in events])

    async def announce(self, generation_id: UUID) -> None:
        """Tell the owner's browsers how this generation stands now."""
        if self._live_events.anybody_listens():
            await self._telling.ask(generation_id)

    async def _tell(self, generation_ids: Sequence[UUID]) -> Sequence[None]:
        await self._places.catch_up()
        async with self._database.reading() as session:
            found = (await session.scalars(THESE, {"ids": list(set(generation_ids))})).all()
            heard = [generation for generation in found if self._live_events.heard_by_anybody(generation.owner_id)]
            views = await self._views(session, heard)
        for generation, view in zip(heard, views, strict=True):
            self._live_events.publish(generation.owner_id, LiveEvent("generation", generation.id, view))
        for generation in found:
            for tell in self._told:
                tell(generation.owner_id)
        return [None] * len(generation_ids)

    async def _look_at(self, generations: Sequence[Generation]) -> Sequence[GenerationView]:
        await self._places.catch_up()
        async with self._database.reading() as session:
            return await self._views(session, generations)

    async def _views(self, session: AsyncSession, generations: Sequence[Generation]) -> list[GenerationView]:
        # Images are written down together with the end: what is open has none, and most of what is asked about is open.
        ended = [generation.id for generation in generations if GenerationState(generation.state) in FINAL]
        images = await images_of(session, ended)
        waiting = await self._places.of(session, generations)
        return [
            to_view(
                generation,
                images=images.get(generation.id, ()),
                waiting=waiting.get(generation.id),
                board=self._board,
            )
            for generation in generations
        ]


async def owned(session: AsyncSession, owner_id: UUID, generation_id: UUID) -> Generation:
    """
    Raises:
        NotFound: There is none, or it is somebody else's; nobody can tell the difference.
    """
    generation: Generation | None = await session.scalar(MINE, {"id": generation_id, "owner_id": owner_id})
    if generation is None:
        raise NotFound("There is no generation with this id.")
    return generation


def to_view(
    generation: Generation, *, images: Iterable[Image], waiting: Waiting | None, board: ProgressBoard
) -> GenerationView:
    copied: dict[str, Any] = {name: getattr(generation, name) for name in COPIED}
    return GenerationView(
        **copied,
        place=None if waiting is None else waiting.own_before + waiting.others_before,
        waiting=waiting,
        waiting_reason=None if generation.waiting_reason is None else sentence(generation.waiting_reason),
        progress=board.progress_of(generation.id) if generation.state == GenerationState.RUNNING.value else None,
        error=to_failure(generation),
        images=[image_view(image) for image in images if not image.is_withheld],
    )


def to_failure(generation: Generation) -> Failure | None:
    if generation.error_code is None:
        return None
    error = generation.error or {}
    return Failure(
        code=generation.error_code,
        message=str(error.get("message", "")),
        node_id=error.get("node_id"),
        node_type=error.get("node_type"),
    )


async def owns_anything(session: AsyncSession, owner_id: UUID) -> bool:
    """Does any generation belong to this person, in the trash or not?"""
    return await session.scalar(select(Generation.id).where(Generation.owner_id == owner_id).limit(1)) is not None
