"""Which images of a generation there must be: written down in the transaction that says how it ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.gallery.models import NODE_ID_LENGTH, REASON_LENGTH, Image, ImageState
from sidecar.gallery.ownership import loose_name, without_foreign
from sidecar.gallery.references import FoundImage, find_images
from sidecar.identity import uuid7

OF_GENERATIONS = (
    select(Image)
    .where(Image.generation_id.in_(bindparam("ids", expanding=True)))
    .order_by(Image.generation_id, Image.position)
)


async def expect_images(
    session: AsyncSession,
    *,
    owner_id: UUID,
    generation_id: UUID,
    outputs: Any,
    now: datetime,
    is_withheld: bool = False,
) -> list[Image]:
    """
    Write down the images that the outputs of a prompt name, in the caller's transaction. Running it again adds nothing.

    Args:
        is_withheld: Nobody but administrators is to see them for now.

    Returns:
        All images of the generation. Entries that name no usable file are `corrupt` from the start.
    """
    images = (await images_of(session, [generation_id])).get(generation_id, [])
    known_nodes = {image.node_id for image in images}
    for named in find_images(outputs):
        found = without_foreign(named, owner_id)
        node_id = found.node_id[:NODE_ID_LENGTH]
        if node_id in known_nodes:
            continue
        image = to_image(found, owner_id=owner_id, generation_id=generation_id, position=len(images), now=now)
        image.is_withheld = is_withheld
        images.append(image)
        session.add(image)
    return images


def to_image(found: FoundImage, *, owner_id: UUID, generation_id: UUID, position: int, now: datetime) -> Image:
    return Image(
        id=uuid7(),
        generation_id=generation_id,
        owner_id=owner_id,
        node_id=found.node_id[:NODE_ID_LENGTH],
        position=position,
        file=msgspec.to_builtins(found.reference) if found.reference else {},
        loose_file=loose_name(found.reference),
        reported=found.reported,
        state=(ImageState.EXPECTED if found.reference else ImageState.CORRUPT).value,
        reason=found.reason[:REASON_LENGTH],
        thumbnails={},
        tries=0,
        created_at=now,
    )


async def images_of(session: AsyncSession, generation_ids: Sequence[UUID]) -> dict[UUID, list[Image]]:
    """The images of each generation in their order; a generation without images is not in it."""
    images: dict[UUID, list[Image]] = defaultdict(list)
    if generation_ids:
        for image in await session.scalars(OF_GENERATIONS, {"ids": list(generation_ids)}):
            images[image.generation_id].append(image)
    return dict(images)


async def unfinished(session: AsyncSession, *, at_most: int = 1000) -> list[UUID]:
    """Generations with images that are not kept yet, oldest first."""
    query = (
        select(Image.generation_id)
        .where(Image.state == ImageState.EXPECTED.value)
        .group_by(Image.generation_id)
        .order_by(Image.generation_id)
        .limit(at_most)
    )
    return list(await session.scalars(query))
