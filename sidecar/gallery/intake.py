"""
Images come in, in two steps that may each run twice and die between any two lines.

`expect_images` writes down, in the recorder's own transaction, which images there must be. `Intake.keep_images`, a job
of its own, takes their bytes from ComfyUI into our store: bytes first, then one transaction for each image that
says so.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import Update, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.database import Database, table_of
from sidecar.errors import Away, OutputGone, StorageUnavailable
from sidecar.gallery.models import NODE_ID_LENGTH, REASON_LENGTH, Image, ImageState
from sidecar.gallery.ownership import loose_name, without_foreign
from sidecar.gallery.references import FileReference, FoundImage, check_reference, find_images, suffix_of
from sidecar.gallery.storage import ImageStore, image_key, thumbnail_key
from sidecar.gallery.thumbnails import (
    SIZES_PX,
    Pictures,
    Thumbnail,
    UnreadableImage,
    accept_thumbnail,
    inspect,
    make_thumbnails,
    thumbhash_of,
)
from sidecar.identity import now as current_time
from sidecar.identity import uuid7

TRIES_AT_MOST = 5
READ_AT_ONCE = 2  # a large picture takes hundreds of megabytes while it is read
THUMBNAIL_BYTES_AT_MOST = 4 * 1024**2
THUMBHASH_BYTES = range(5, 26)  # ThumbHash's header, and its header with every term

OF_GENERATIONS = (
    select(Image)
    .where(Image.generation_id.in_(bindparam("ids", expanding=True)))
    .order_by(Image.generation_id, Image.position)
)

log = structlog.get_logger(__name__)


class ImageSource(Protocol):
    """Where the bytes of an output are: ComfyUI's own folder if it is on this machine, else its HTTP door."""

    def local_path(self, file: FileReference) -> Path | None:
        """The file itself, if it can be read from here and lies inside ComfyUI's folders."""
        ...

    async def fetch(self, file: FileReference) -> bytes:
        """
        Raises:
            OutputGone: ComfyUI does not have the file (any more).
            ComfyUIAway: ComfyUI does not answer.
        """
        ...


class ImageSources(Protocol):
    """Which ComfyUI made what."""

    async def source_of(self, generation_id: UUID) -> ImageSource: ...


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
        kept_at = current_time() if state is ImageState.KEPT else None
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


async def reported_thumbnails(source: ImageSource, reported: dict[str, Any]) -> dict[str, bytes] | None:
    """Their bytes as the node reported them; None unless all three are there."""
    named = reported.get("thumbnails")
    if not isinstance(named, dict) or not SIZES_PX.keys() <= named.keys():
        return None
    try:
        return {size: await read_thumbnail(source, named[size]) for size in SIZES_PX}
    except (OutputGone, FileNotFoundError, PermissionError, msgspec.ValidationError, ValueError) as exc:
        log.info("reported_thumbnails_unusable", reason=str(exc))
        return None


async def read_thumbnail(source: ImageSource, named: Any) -> bytes:
    reference = msgspec.convert(named, FileReference)
    check_reference(reference)
    path = await asyncio.to_thread(source.local_path, reference)
    if path is None:
        return await source.fetch(reference)
    return await asyncio.to_thread(read_small_file, path)


def saved_by_our_node(path: Path, reported: dict[str, Any]) -> bool:
    """
    Did *Save Image (Genonaut)* write this file? It never writes into a file that is there, it puts a new one in its
    place; so a second name of the old one keeps its bytes. Other nodes may overwrite theirs.
    """
    return bool(reported) and reported.get("bytes") == path.stat().st_size


class UnusableThumbnails(Exception):
    """The thumbnails that were made in the graph cannot be taken over; the message says why."""


def take_over(image: Path, thumbnails: dict[str, bytes], thumbhash: Any) -> Pictures:
    """
    Raises:
        UnreadableImage: The image itself cannot be read.
        UnusableThumbnails: It can, but its reported thumbnails cannot.
    """
    facts = inspect(image)
    try:
        accepted = {size: accept_thumbnail(thumbnails[size], facts, size) for size in SIZES_PX}
        return Pictures(facts, accepted, usable_thumbhash(thumbhash) or thumbhash_of(accepted["small"]))
    except UnreadableImage as exc:
        raise UnusableThumbnails(str(exc)) from exc


def usable_thumbhash(reported: Any) -> str | None:
    try:
        content = base64.b64decode(reported, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return None
    return reported if isinstance(reported, str) and len(content) in THUMBHASH_BYTES else None


def read_small_file(path: Path) -> bytes:
    """
    Raises:
        ValueError: Too large to be a thumbnail.
    """
    if path.stat().st_size > THUMBNAIL_BYTES_AT_MOST:
        raise ValueError(f"{path.name} is too large for a thumbnail")
    return path.read_bytes()


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
