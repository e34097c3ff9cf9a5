"""Images that are removed for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.gallery.models import Image
from sidecar.gallery.storage import ImageStore


async def delete_files(store: ImageStore, images: Iterable[Image]) -> None:
    """
    Forget the bytes of images; may run again after it was killed in between.

    A file has the name of one image of one generation, also where ComfyUI took it from its cache and gave it to
    several: each of them has a name of its own for it.

    Raises:
        StorageUnavailable: Not now; run it again.
    """
    for image in images:
        for key in keys_of(image):
            await store.delete(key)


def keys_of(image: Image) -> Iterator[str]:
    if image.storage_key is not None:
        yield image.storage_key
    for thumbnail in image.thumbnails.values():
        yield thumbnail["key"]


async def delete_rows(session: AsyncSession, generation_id: UUID) -> None:
    await session.execute(delete(Image).where(Image.generation_id == generation_id))
