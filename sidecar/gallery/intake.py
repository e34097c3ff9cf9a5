"""
Images come in, in two steps that may each run twice and die between any two lines.

`expected.py` writes down, in the recorder's own transaction, which images there must be. `Intake.keep_images`, a job of
its own, takes their bytes from ComfyUI into our store: bytes first, then one transaction for each image that says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import Update, update
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.database import Database, table_of
from sidecar.errors import Away, OutputGone, StorageUnavailable
from sidecar.gallery.expected import images_of
from sidecar.gallery.models import REASON_LENGTH, Image, ImageState
from sidecar.gallery.references import FileReference, suffix_of
from sidecar.gallery.reported_thumbnails import UnusableThumbnails, reported_thumbnails, take_over
from sidecar.gallery.sources import ImageSource, ImageSources
from sidecar.gallery.storage import ImageStore, image_key, thumbnail_key
from sidecar.gallery.thumbnails import (
    Pictures,
    Thumbnail,
    UnreadableImage,
    make_thumbnails,
)
from sidecar.identity import now

TRIES_AT_MOST = 5
READ_AT_ONCE = 2  # a large picture takes hundreds of megabytes while it is read
log = structlog.get_logger(__name__)


class ImageNews(Protocol):
    """Whom it concerns that an image has changed."""

    async def note(self, session: AsyncSession, generation_id: UUID) -> None:
        """In the transaction that changes it."""

    async def tell(self, generation_id: UUID) -> None:
        """Once that is committed."""


class KeptFacts(Struct, frozen=True):
    """What the last transaction of an image writes."""

    pictures: Pictures
    storage_key: str
    bytes: int
    etag: str


class Intake:
    """Takes the bytes of images into the store. One a process."""

    def __init__(
        self,
        database: Database,
        store: ImageStore,
        sources: ImageSources,
        news: ImageNews,
    ) -> None:
        self._database = database
        self._store = store
        self._sources = sources
        self._news = news
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def keep_images(self, ctx: Mapping[str, Any], *, generation_id: str) -> None:
        """
        The job: keep every image of a generation that is not kept yet, and tell its owner's browsers.

        Raises:
            ComfyUIAway: ComfyUI does not answer; to be tried again, from the first image that is not kept.
            StorageUnavailable: Nothing can be written at the moment; likewise.
        """
        generation = UUID(generation_id)
        try:
            for place, image in enumerate(await self._expected(generation)):
                if place and (job := ctx.get("job")):
                    await job.update()  # its heartbeat: a generation may have many large images
                await self._keep(image)
        except Away:
            await self._news.tell(generation)  # what was kept so far can be seen while the rest waits
            raise
        # Also when there was nothing to do: an earlier run may have died between its last image and this line.
        await self._news.tell(generation)

    async def _expected(self, generation_id: UUID) -> list[Image]:
        async with self._database.reading() as session:
            images = (await images_of(session, [generation_id])).get(generation_id, [])
        return [image for image in images if image.state == ImageState.EXPECTED.value]

    async def _keep(self, image: Image) -> None:
        reference = msgspec.convert(image.file, FileReference)
        if image.tries >= TRIES_AT_MOST:
            reason = f"Reading this image ended the program {image.tries} times. It is left alone now."
            await self._finish(image, state=ImageState.CORRUPT, reason=reason)
            return
        # Written down before the attempt, so that a picture that kills the process does not do so for ever.
        await self._count_tries(image, image.tries + 1)
        try:
            kept = await self._take(image, reference)
        except OutputGone:
            reason = f"ComfyUI no longer had the file {reference.filename} when it was to be kept."
            await self._finish(image, state=ImageState.MISSING, reason=reason)
        except UnreadableImage as exc:
            reason = f"The file {reference.filename} cannot be read as an image: {exc}."
            await self._finish(image, state=ImageState.CORRUPT, reason=reason)
        except Away:
            await self._count_tries(image, image.tries)  # not the picture's fault
            raise
        else:
            await self._finish(image, state=ImageState.KEPT, **columns_of(image, kept))

    async def _take(self, image: Image, reference: FileReference) -> KeptFacts:
        """Everything but the last transaction; doing it twice gives the same."""
        key = image_key(image.id, suffix_of(reference))
        source = await self._sources.source_of(image.generation_id)
        await self._bring_in(source, reference, key, image.reported)
        # From here on only our own file is looked at: ComfyUI's may be overwritten at any moment.
        ours = self._store.path_of(key)
        try:
            async with self._reading:
                pictures = await self._picture(source, ours, image.reported)
                size, etag = await asyncio.to_thread(measure, ours)
        except UnreadableImage:
            await self._store.delete(key)
            raise
        except OSError as exc:
            raise StorageUnavailable(f"The file {reference.filename} cannot be read at the moment: {exc}.") from exc
        for name, thumbnail in pictures.thumbnails.items():
            await self._store.put(thumbnail_key(image.id, name), thumbnail.content)
        return KeptFacts(pictures, key, size, etag)

    async def _bring_in(
        self, source: ImageSource, reference: FileReference, key: str, reported: dict[str, Any]
    ) -> None:
        """Have the bytes of an output in our store, from wherever they can be had."""
        if await self._store.has(key):
            return  # by an earlier run that died before it said so; ComfyUI may have emptied its folder meanwhile
        path = await asyncio.to_thread(source.local_path, reference)
        if path is None or not await asyncio.to_thread(os.access, path, os.R_OK):
            await self._store.put(key, await source.fetch(reference))
            return
        try:
            may_link = await asyncio.to_thread(saved_by_our_node, path, reported)
            await self._store.adopt(key, path, may_link=may_link)
        except FileNotFoundError as exc:  # gone since it was found a moment ago
            raise OutputGone from exc

    async def _picture(self, source: ImageSource, image: Path, reported: dict[str, Any]) -> Pictures:
        """The thumbnails that were made in the graph where they are sound, else our own."""
        thumbnails = await reported_thumbnails(source, reported)
        if thumbnails is not None:
            try:
                return await asyncio.to_thread(take_over, image, thumbnails, reported.get("thumbhash"))
            except UnusableThumbnails as exc:
                log.info("reported_thumbnails_unusable", reason=str(exc))
        return await asyncio.to_thread(make_thumbnails, image)

    async def _finish(self, image: Image, *, state: ImageState, reason: str = "", **columns: Any) -> None:
        kept_at = now() if state is ImageState.KEPT else None
        values = {**columns, "state": state.value, "reason": reason[:REASON_LENGTH], "kept_at": kept_at}
        async with self._database.writing() as session:
            await session.execute(still_expected(image).values(values))
            await self._news.note(session, image.generation_id)
        log.info(
            "image_finished",
            generation_id=str(image.generation_id),
            image_id=str(image.id),
            state=state.value,
            reason=reason,
        )

    async def _count_tries(self, image: Image, tries: int) -> None:
        async with self._database.writing() as session:
            await session.execute(still_expected(image).values(tries=tries))


def still_expected(image: Image) -> Update:
    """Another process may have finished it in the meantime."""
    images = table_of(Image)
    return update(images).where(images.c.id == image.id, images.c.state == ImageState.EXPECTED.value)


def saved_by_our_node(path: Path, reported: dict[str, Any]) -> bool:
    """
    Did *Save Image (Genonaut)* write this file? It never writes into a file that is there, it puts a new one in its
    place; so a second name of the old one keeps its bytes. Other nodes may overwrite theirs.
    """
    return bool(reported) and reported.get("bytes") == path.stat().st_size


def measure(file: Path) -> tuple[int, str]:
    """How many bytes, and their SHA-256."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while piece := opened.read(1024**2):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def columns_of(image: Image, kept: KeptFacts) -> dict[str, Any]:
    facts = kept.pictures.facts
    return {
        "storage_key": kept.storage_key,
        "media_type": facts.media_type,
        "width": facts.width,
        "height": facts.height,
        "bytes": kept.bytes,
        "etag": kept.etag,
        "thumbhash": kept.pictures.thumbhash,
        "thumbnails": {size: entry_of(image, size, thumb) for size, thumb in kept.pictures.thumbnails.items()},
    }


def entry_of(image: Image, size: str, thumbnail: Thumbnail) -> dict[str, Any]:
    return {
        "key": thumbnail_key(image.id, size),
        "width": thumbnail.width,
        "height": thumbnail.height,
        "bytes": len(thumbnail.content),
    }
