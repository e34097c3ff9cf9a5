"""
Thumbnails that our node made in the graph, where the picture was at hand already.

They lie in a folder where anybody may write, so each is looked at before it is taken over.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from pathlib import Path
from typing import Any

import msgspec
import structlog

from sidecar.errors import OutputGone
from sidecar.gallery.references import FileReference, check_reference
from sidecar.gallery.sources import ImageSource
from sidecar.gallery.thumbnails import (
    SIZES_PX,
    Pictures,
    UnreadableImage,
    accept_thumbnail,
    inspect,
    thumbhash_of,
)

THUMBNAIL_BYTES_AT_MOST = 4 * 1024**2
THUMBHASH_BYTES = range(5, 26)  # ThumbHash's header, and its header with every term

log = structlog.get_logger(__name__)


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
