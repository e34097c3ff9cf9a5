"""How an image looks from outside."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from sidecar.gallery.models import Image, ImageState
from sidecar.gallery.thumbnails import SIZES_PX


class ImageView(Struct):
    """One picture of a generation. Its bytes: `/images/{id}` and `/images/{id}/thumbnail/{size}`."""

    id: UUID
    generation_id: UUID
    position: int
    state: ImageState
    width: int | None
    height: int | None
    bytes: int | None
    media_type: str | None
    thumbhash: str | None
    """Base64; drawn until a thumbnail has come."""
    thumbnails: list[str]
    """The sizes that can be had now."""


def to_view(image: Image) -> ImageView:
    return ImageView(
        id=image.id,
        generation_id=image.generation_id,
        position=image.position,
        state=ImageState(image.state),
        width=image.width,
        height=image.height,
        bytes=image.bytes,
        media_type=image.media_type,
        thumbhash=image.thumbhash,
        thumbnails=[size for size in SIZES_PX if size in image.thumbnails],
    )
