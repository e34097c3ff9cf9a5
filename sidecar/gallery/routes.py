"""HTTP for images and their thumbnails: ranges, conditions, and caching for good, for their owner alone."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote
from uuid import UUID

import structlog
from litestar import Request, Response, get, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod, MediaType
from litestar.params import FromPath
from litestar.response import Stream
from litestar.status_codes import (
    HTTP_200_OK,
    HTTP_206_PARTIAL_CONTENT,
    HTTP_304_NOT_MODIFIED,
    HTTP_416_REQUESTED_RANGE_NOT_SATISFIABLE,
)
from msgspec import Struct
from sqlalchemy import Row

from sidecar.accounts.guards import requires_pairing, requires_read
from sidecar.conditions import ByteRange, UnsatisfiableRange, is_known, wanted_range
from sidecar.database import Database
from sidecar.errors import ImageMissing, NotFound
from sidecar.gallery.kept import KeptImages
from sidecar.gallery.ownership import recorded_owner
from sidecar.gallery.references import FileReference
from sidecar.gallery.storage import CHUNK_BYTES, ImageStore
from sidecar.gallery.thumbnails import MEDIA_TYPES, SIZES_PX

ONE_YEAR_S = 365 * 24 * 3600
SHOWN_INLINE = frozenset(MEDIA_TYPES.values())  # raster pictures; whatever could carry a script is only downloaded
NOT_PLAIN = re.compile(r"[^ !#-\[\]-~]")  # all but printable ASCII without quotes and back slashes
# Opened by itself, too, it is nothing but a picture: the browser's own frame around it needs its styles.
ONLY_SHOWN = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
ANSWERS = [HttpMethod.GET, HttpMethod.HEAD]

Kept = NamedDependency[KeptImages]
Store = NamedDependency[ImageStore]
Owner = NamedDependency[UUID]

log = structlog.get_logger(__name__)


class Servable(Struct, frozen=True):
    """Bytes that can be sent, and what is said of them."""

    owner_id: UUID
    image_id: UUID
    key: str
    size: int
    etag: str
    media_type: str
    filename: str


@route("/images/{image_id:uuid}", guards=[requires_read], http_method=ANSWERS, media_type="image/*")
async def show_image(
    request: Request[Any, Any, Any], kept_images: Kept, store: Store, owner_id: Owner, image_id: FromPath[UUID]
) -> Response[Any]:
    """The picture itself, at its full size, as it was saved."""
    image = await kept_images.find(owner_id, image_id)
    return await serve(request, kept_images, store, picture(owner_id, image_id, image))


@route(
    "/images/{image_id:uuid}/thumbnail/{size:str}", guards=[requires_read], http_method=ANSWERS, media_type="image/*"
)
async def show_thumbnail(
    request: Request[Any, Any, Any],
    kept_images: Kept,
    store: Store,
    owner_id: Owner,
    image_id: FromPath[UUID],
    size: FromPath[str],
) -> Response[Any]:
    """The picture as a WebP whose longest side is 256 (`small`), 512 (`medium`) or 1024 pixels (`large`) at most."""
    require_size(size)
    image = await kept_images.find(owner_id, image_id)
    return await serve(request, kept_images, store, thumbnail(owner_id, image_id, image, size))


@get("/internal/outputs/owner", guards=[requires_pairing], include_in_schema=False)
async def show_owner_of_output(request: Request[Any, Any, Any], database: NamedDependency[Database]) -> dict[str, UUID]:
    """Whose file of ComfyUI's that is, for the pack, which remembers only what it has seen itself."""
    asked = FileReference(
        filename=request.query_params.get("filename", ""),
        subfolder=request.query_params.get("subfolder", ""),
        type=request.query_params.get("type", "output"),
    )
    async with database.reading() as session:
        owner_id = await recorded_owner(session, asked)
    if owner_id is None:
        raise NotFound
    return {"owner_id": owner_id}


ROUTES = [show_image, show_thumbnail]
INTERNAL_ROUTES = [show_owner_of_output]


def picture(owner_id: UUID, image_id: UUID, image: Row[Any]) -> Servable:
    """The picture itself, of what `KeptImages` finds."""
    return Servable(
        owner_id=owner_id,
        image_id=image_id,
        key=image.storage_key,
        size=image.bytes,
        etag=f'"{image.etag}"',
        media_type=image.media_type,
        filename=str(image.file.get("filename", image_id)),
    )


def require_size(size: str) -> None:
    """
    Raises:
        NotFound: There are no thumbnails of this size.
    """
    if size not in SIZES_PX:
        raise NotFound(f"A thumbnail is {', '.join(SIZES_PX)}; there is no {size}.")


def thumbnail(owner_id: UUID, image_id: UUID, image: Row[Any], size: str) -> Servable:
    kept = image.thumbnails[size]
    return Servable(
        owner_id=owner_id,
        image_id=image_id,
        key=kept["key"],
        size=kept["bytes"],
        etag=f'"{image.etag}-{size}"',
        media_type="image/webp",
        filename=f"{PurePosixPath(str(image.file.get('filename', image_id))).stem}.{size}.webp",
    )


async def serve(
    request: Request[Any, Any, Any], kept_images: KeptImages, store: ImageStore, servable: Servable
) -> Response[Any]:
    """Answer with all of it, a part, or nothing but headers: whatever was asked for."""
    headers = headers_of(servable)
    if is_known(request.headers, servable.etag):
        return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
    if request.method == HttpMethod.HEAD:
        return Response(b"", media_type=servable.media_type, headers={**headers, "Content-Length": str(servable.size)})
    try:
        part = wanted_range(request.headers, servable.etag, servable.size)
    except UnsatisfiableRange:
        return Response(
            b"",
            status_code=HTTP_416_REQUESTED_RANGE_NOT_SATISFIABLE,
            media_type=MediaType.TEXT,
            headers={"Content-Range": f"bytes */{servable.size}", "Accept-Ranges": "bytes"},
        )
    try:
        return await send(store, servable, part, headers)
    except FileNotFoundError as exc:
        kept_images.forget(servable.owner_id, servable.image_id)
        await kept_images.find(servable.owner_id, servable.image_id)  # one that was purged is not found
        log.exception("kept_image_gone", key=servable.key)
        raise ImageMissing("The file of this image is no longer in the store of the images.") from exc


async def send(store: ImageStore, servable: Servable, part: ByteRange | None, headers: dict[str, str]) -> Response[Any]:
    status_code = HTTP_200_OK
    start, end = 0, servable.size
    if part is not None:
        status_code = HTTP_206_PARTIAL_CONTENT
        start, end = part.start, part.end
        headers = {**headers, "Content-Range": f"bytes {start}-{end - 1}/{servable.size}"}
    if part is None and servable.size <= CHUNK_BYTES:  # thumbnails: in one piece, which is quicker
        content = await store.read(servable.key)
        return Response(content, media_type=servable.media_type, headers=headers)
    return Stream(
        await store.stream(servable.key, start, end),
        status_code=status_code,
        media_type=servable.media_type,
        headers={**headers, "Content-Length": str(end - start)},
    )


def headers_of(servable: Servable) -> dict[str, str]:
    return {
        "ETag": servable.etag,
        # The bytes of an id never change. Private: no cache that several people share may keep them.
        "Cache-Control": f"private, max-age={ONE_YEAR_S}, immutable",
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": disposition(servable),
        "Content-Security-Policy": ONLY_SHOWN,
    }


def disposition(servable: Servable) -> str:
    """Under which name a browser saves it (RFC 6266): in ASCII for the old ones, as it is for all others."""
    kind = "inline" if servable.media_type in SHOWN_INLINE else "attachment"
    plain = "".join(
        sign if sign.isascii() and sign.isprintable() and sign not in '"\\' else "_" for sign in servable.filename
    )
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(servable.filename, safe='')}"
