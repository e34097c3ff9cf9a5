"""
What administrators look at before anybody sees it: generations that a rule has flagged, and whatever they hide.

The images of a generation under review are kept as all others are, and withheld: its owner sees that it is looked at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import structlog
from msgspec import Meta, Struct
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.audit import Action, Actor, note
from sidecar.cluster.bus import Bus
from sidecar.cursors import decode_cursor, encode_cursor
from sidecar.database import Database
from sidecar.errors import NotFound, StillOpen
from sidecar.gallery.expected import images_of
from sidecar.gallery.kept import KeptImages
from sidecar.gallery.models import Image
from sidecar.generations.models import Generation, touch
from sidecar.generations.schemas import WITHHELD, Review, State
from sidecar.generations.states import FINAL, GenerationState
from sidecar.identity import now

Decision = Literal["release", "hide", "delete"]
OUTCOMES: dict[Decision, Review] = {"release": "released", "hide": "hidden", "delete": "hidden"}

WITHHELD_CHANGED = "withheld_changed"
"""The topic under which processes tell one another that other images are withheld than before."""

log = structlog.get_logger(__name__)


class ReviewView(Struct):
    """A generation that is looked at, or was."""

    generation_id: UUID
    review: Review
    state: State
    user_id: UUID
    """Whose it is."""
    prompt: str
    negative_prompt: str
    checkpoint: str
    images: list[UUID]
    """`/admin/reviews/{generation_id}/images/{image_id}` shows one."""
    created_at: datetime
    finished_at: datetime | None
    trashed_at: datetime | None


class ReviewPage(Struct):
    """Newest first."""

    items: list[ReviewView]
    next_cursor: str | None


class Verdict(Struct, forbid_unknown_fields=True):
    """What shall become of it."""

    decision: Decision
    """`release`: its owner sees it. `hide`: nobody but administrators does. `delete`: hidden, and into the trash."""
    reason: Annotated[str, Meta(max_length=400)] = ""
    """For the audit."""


class Position(Struct):
    """Where a page ended."""

    id: UUID


class Reviews:
    """What waits to be looked at, and what was decided. One a process."""

    def __init__(
        self, database: Database, bus: Bus, kept_images: KeptImages, announce: Callable[[UUID], Awaitable[None]]
    ) -> None:
        self._database = database
        self._bus = bus
        self._kept_images = kept_images
        self._announce = announce
        bus.on(WITHHELD_CHANGED, self._hear_elsewhere)

    async def page(self, review: Review, *, limit: int, cursor: str | None) -> ReviewPage:
        query = select(Generation).where(Generation.review == review).order_by(Generation.id.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(Generation.id < decode_cursor(cursor, Position).id)
        async with self._database.reading() as session:
            found = list(await session.scalars(query))
            images = await images_of(session, [generation.id for generation in found[:limit]])
        items = [to_review_view(generation, images.get(generation.id, ())) for generation in found[:limit]]
        return ReviewPage(items, encode_cursor(Position(found[limit - 1].id)) if len(found) > limit else None)

    async def decide(self, generation_id: UUID, verdict: Verdict, actor: Actor) -> ReviewView:
        """
        Decide what becomes of a generation; of any, not only of one that was flagged. Deciding the same again changes
        nothing.

        Raises:
            NotFound: There is no such generation.
            StillOpen: It is to be deleted and has not ended.
        """
        async with self._database.writing() as session:
            generation = await session.get(Generation, generation_id)
            if generation is None:
                raise NotFound("There is no generation with this id.")
            is_changed = decided(generation, verdict.decision)
            if is_changed:
                withheld = generation.review in WITHHELD
                own = Image.generation_id == generation_id
                await session.execute(update(Image).where(own).values(is_withheld=withheld))
                told = {"decision": verdict.decision, "reason": verdict.reason, "generation_id": str(generation_id)}
                note(session, Action.REVIEWED, actor, generation.owner_id, **told)
            view = await self._view(session, generation)
        if is_changed:
            log.info("generation_reviewed", generation_id=str(generation_id), decision=verdict.decision)
            self._bus.tell(WITHHELD_CHANGED)
            self._kept_images.forget_all()
            await self._announce(generation_id)
        return view

    async def owner_of_image(self, generation_id: UUID, image_id: UUID) -> UUID:
        """
        Whose an image is that is looked at, or was.

        Raises:
            NotFound: There is none.
        """
        query = (
            select(Image.owner_id)
            .join(Generation, Generation.id == Image.generation_id)
            .where(Image.id == image_id, Generation.id == generation_id, Generation.review.is_not(None))
        )
        async with self._database.reading() as session:
            owner_id: UUID | None = await session.scalar(query)
        if owner_id is None:
            raise NotFound("There is no image with this id under review.")
        return owner_id

    async def _hear_elsewhere(self, _news: object) -> None:
        self._kept_images.forget_all()

    async def _view(self, session: AsyncSession, generation: Generation) -> ReviewView:
        return to_review_view(generation, (await images_of(session, [generation.id])).get(generation.id, ()))


def decided(generation: Generation, decision: Decision) -> bool:
    """Write a decision into the row; tells whether it changes anything."""
    trashes = decision == "delete" and generation.trashed_at is None
    if decision == "delete" and GenerationState(generation.state) not in FINAL:
        raise StillOpen
    if generation.review == OUTCOMES[decision] and not trashes:
        return False
    generation.review = OUTCOMES[decision]
    if trashes:
        generation.trashed_at = now()
    touch(generation)
    return True


def to_review_view(generation: Generation, images: Sequence[Image]) -> ReviewView:
    same = ("review", "state", "prompt", "negative_prompt", "checkpoint", "created_at", "finished_at", "trashed_at")
    return ReviewView(
        generation_id=generation.id,
        user_id=generation.owner_id,
        images=[image.id for image in images],
        **{name: getattr(generation, name) for name in same},
    )
