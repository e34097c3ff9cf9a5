"""Which images can be served, and what is said of them."""

from __future__ import annotations

from collections import OrderedDict
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from sidecar.database import Database
from sidecar.errors import ImageCorrupt, ImageMissing, ImageNotKeptYet, ImageUnderReview, NotFound
from sidecar.gallery.models import Image, ImageState

KEPT_SOON_S = 2.0
REMEMBERED_AT_MOST = 10_000  # a few kilobytes each
REMEMBERED_S = 60.0


class KeptImages:
    """
    Finds images whose bytes are ours. One a process.

    What is kept does not change, so what was asked for lately is remembered for a minute: whoever scrolls through
    pictures asks for the same ones again and again. One may be purged meanwhile, by this process or another: whoever
    does not find its bytes says `forget` and asks again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered: OrderedDict[tuple[UUID, UUID], tuple[float, Row[Any]]] = OrderedDict()

    async def find(self, owner_id: UUID, image_id: UUID) -> Row[Any]:
        """
        Raises:
            NotFound: There is none, or it is somebody else's; nobody can tell the difference.
            ImageNotKeptYet, ImageMissing, ImageCorrupt: There is one, and its bytes cannot be had.
            ImageUnderReview: There is one, and administrators look at it first.
        """
        key, time = (owner_id, image_id), monotonic()
        until, image = self._remembered.get(key, (0.0, None))
        if image is not None and time < until:
            return image
        image = await self._look_up(owner_id, image_id)
        self._remembered[key] = (time + REMEMBERED_S, image)
        self._remembered.move_to_end(key)
        if len(self._remembered) > REMEMBERED_AT_MOST:
            self._remembered.popitem(last=False)
        return image

    def forget(self, owner_id: UUID, image_id: UUID) -> None:
        self._remembered.pop((owner_id, image_id), None)

    def forget_all(self) -> None:
        """Some are withheld from now on, or no longer."""
        self._remembered.clear()

    async def find_withheld(self, owner_id: UUID, image_id: UUID) -> Row[Any]:
        """The same for whoever looks at what is withheld."""
        return await self._look_up(owner_id, image_id, withheld_too=True)

    async def _look_up(self, owner_id: UUID, image_id: UUID, *, withheld_too: bool = False) -> Row[Any]:
        columns = (
            Image.state,
            Image.is_withheld,
            Image.reason,
            Image.storage_key,
            Image.media_type,
            Image.bytes,
            Image.etag,
        )
        query = select(*columns, Image.file, Image.thumbnails).where(Image.id == image_id, Image.owner_id == owner_id)
        async with self._database.reading() as session:
            image = (await session.execute(query)).one_or_none()
        if image is None:
            raise NotFound("There is no image with this id.")
        if image.is_withheld and not withheld_too:
            raise ImageUnderReview
        if image.state == ImageState.EXPECTED.value:
            raise ImageNotKeptYet(retry_after_s=KEPT_SOON_S)
        if image.state == ImageState.MISSING.value:
            raise ImageMissing(image.reason)
        if image.state == ImageState.CORRUPT.value:
            raise ImageCorrupt(image.reason)
        return image
