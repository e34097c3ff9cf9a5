"""Images over HTTP: for their owner alone, in parts, and never sent twice to a browser that has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from fakes.folders import png
from litestar import Litestar
from litestar.di import Provide
from litestar.testing import AsyncTestClient
from litestar.types import ASGIApp, Receive, Scope, Send
from sqlalchemy import delete, update

from sidecar.accounts.callers import LOCAL_OWNER
from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.clients import TrustedProxies
from sidecar.database import Database
from sidecar.entrance import Entrance
from sidecar.gallery.kept import KeptImages
from sidecar.gallery.models import Image
from sidecar.gallery.routes import ROUTES
from sidecar.identity import uuid7
from sidecar.problems import EXCEPTION_HANDLERS

CONTENT = png(1200, 900)


def as_the_local_owner(app: ASGIApp) -> ASGIApp:
    async def ask(scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = LOCAL_OWNER
        await app(scope, receive, send)

    return ask


@pytest.fixture
async def client(database_url, store) -> AsyncIterator[AsyncTestClient[Litestar]]:
    # One of its own, since the client has an event loop of its own, and connections belong to one.
    database = Database(database_url)

    def always(value: Any) -> Provide:
        return Provide(lambda: value, sync_to_thread=False)

    app = Litestar(
        ROUTES,
        logging_config=None,
        dependencies={
            "kept_images": always(KeptImages(database)),
            "store": always(store),
            "owner_id": always(LOCAL_OWNER_ID),
        },
        middleware=[as_the_local_owner],
        exception_handlers=EXCEPTION_HANDLERS,
        on_shutdown=[database.close],
    )
    app.asgi_handler = Entrance(app.asgi_handler, TrustedProxies(()))
    async with AsyncTestClient(app) as client:
        yield client


@pytest.fixture
async def image(expect, images, intake, folder) -> Image:
    generation_id: UUID = await expect({"9": {"images": [folder.write("ComfyUI_00001_.png", CONTENT)]}})
    await intake.keep_images({}, generation_id=str(generation_id))
    (kept,) = await images(generation_id)
    assert isinstance(kept, Image)
    return kept


async def test_an_image_is_sent_as_it_was_saved(client, image) -> None:
    """
    All bytes, with a type that comes from the content, kept for good by this browser and by nobody else.
    """
    answer = await client.get(f"/images/{image.id}")

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["etag"] == f'"{image.etag}"'
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith('inline; filename="ComfyUI_00001_.png"')


@pytest.mark.parametrize("size", ["small", "medium", "large"])
async def test_a_thumbnail_is_a_webp(client, image, store, size) -> None:
    """
    Each size has its own bytes and its own tag.
    """
    answer = await client.get(f"/images/{image.id}/thumbnail/{size}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.content == await store.read(image.thumbnails[size]["key"])
    assert answer.headers["etag"] == f'"{image.etag}-{size}"'
    assert f'filename="ComfyUI_00001_.{size}.webp"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, len(CONTENT)),
        ("bytes=-50", len(CONTENT) - 50, len(CONTENT)),
        ("bytes=0-999999999", 0, len(CONTENT)),
        ("bytes=-999999999", 0, len(CONTENT)),
        (f"bytes={len(CONTENT) - 1}-", len(CONTENT) - 1, len(CONTENT)),
    ],
)
async def test_a_part_is_sent_where_a_part_is_asked_for(client, image, wanted, start, end) -> None:
    """
    206 with just these bytes.
    """
    answer = await client.get(f"/images/{image.id}", headers={"Range": wanted})

    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("wanted", [f"bytes={len(CONTENT)}-", "bytes=-0"])
async def test_a_part_that_lies_outside_is_refused(client, image, wanted) -> None:
    """
    416, with the size that there is.
    """
    answer = await client.get(f"/images/{image.id}", headers={"Range": wanted})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "wanted", ["bytes=0-1,5-9", "bytes=9-1", "bytes=-", "rows=0-1", "bytes=a-b", f"bytes={'9' * 5000}-"]
)
async def test_what_is_no_single_range_gets_everything(client, image, wanted) -> None:
    """
    RFC 9110 lets a server ignore what it does not offer.
    """
    answer = await client.get(f"/images/{image.id}", headers={"Range": wanted})

    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_a_part_of_something_older_gets_everything(client, image) -> None:
    """
    `If-Range`: the browser's other parts must be of the same bytes.
    """
    same = {"Range": "bytes=0-9", "If-Range": f'"{image.etag}"'}
    older = {"Range": "bytes=0-9", "If-Range": '"older"'}

    assert (await client.get(f"/images/{image.id}", headers=same)).status_code == 206
    assert (await client.get(f"/images/{image.id}", headers=older)).status_code == 200


@pytest.mark.parametrize("known", ['"{etag}"', 'W/"{etag}"', '"other", "{etag}"', "*"])
async def test_a_browser_that_has_it_gets_headers_alone(client, image, known) -> None:
    """
    304 without a body, also where a part was asked for.
    """
    headers = {"If-None-Match": known.replace("{etag}", image.etag), "Range": "bytes=0-9"}
    answer = await client.get(f"/images/{image.id}", headers=headers)

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == f'"{image.etag}"'
    assert "immutable" in answer.headers["cache-control"]


async def test_head_says_what_get_would(client, image) -> None:
    """
    The same headers, no body, and no part: ranges are for GET.
    """
    for path in (f"/images/{image.id}", f"/images/{image.id}/thumbnail/small"):
        same = {"X-Request-ID": "the-same-for-both"}
        asked, told = (
            await client.get(path, headers=same),
            await client.head(path, headers={**same, "Range": "bytes=0-9"}),
        )

        assert (told.status_code, told.content) == (200, b"")
        assert dict(told.headers) == dict(asked.headers)


async def test_somebody_elses_image_looks_like_none(client, expect, images, intake, folder) -> None:
    """
    The same answer as for an id that never was.
    """
    generation_id = await expect({"9": {"images": [folder.write("a.png", png())]}}, owner_id=uuid7())
    await intake.keep_images({}, generation_id=str(generation_id))
    (theirs,) = await images(generation_id)
    answers = [await client.get(f"/images/{image_id}") for image_id in (theirs.id, uuid7())]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "not_found")] * 2
    assert answers[0].json()["detail"] == answers[1].json()["detail"]


async def test_an_image_that_is_not_kept_yet_says_when_to_ask_again(client, expect, images) -> None:
    """
    404 with `Retry-After`: it will be there soon.
    """
    generation_id = await expect({"9": {"images": [{"filename": "a.png"}]}})
    (image,) = await images(generation_id)
    answer = await client.get(f"/images/{image.id}/thumbnail/small")

    assert (answer.status_code, answer.json()["code"]) == (404, "image_not_kept_yet")
    assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize(("filename", "code"), [("gone.png", "image_missing"), ("bad.png", "image_corrupt")])
async def test_an_image_that_could_not_be_kept_says_why(client, expect, images, intake, folder, filename, code) -> None:
    """
    The sentence names the file.
    """
    folder.write("bad.png", b"")
    generation_id = await expect({"9": {"images": [{"filename": filename}]}})
    await intake.keep_images({}, generation_id=str(generation_id))
    (image,) = await images(generation_id)
    answer = await client.get(f"/images/{image.id}")

    assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert filename in answer.json()["detail"]


async def test_a_kept_image_whose_bytes_were_deleted_is_missing(client, image, store) -> None:
    """
    Somebody emptied the store: an error that says so, not a broken picture.
    """
    await store.delete(image.storage_key)
    answer = await client.get(f"/images/{image.id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "image_missing")


async def test_an_image_that_was_shown_and_purged_is_not_found(client, image, store, database) -> None:
    """
    What is remembered of it does not outlive its bytes.
    """
    await client.get(f"/images/{image.id}/thumbnail/small")
    async with database.writing() as session:
        await session.execute(delete(Image))
    for key in [image.storage_key, *(thumbnail["key"] for thumbnail in image.thumbnails.values())]:
        await store.delete(key)
    answer = await client.get(f"/images/{image.id}/thumbnail/small")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_what_was_asked_for_lately_costs_the_database_nothing(client, image, database, monkeypatch) -> None:
    """
    Whoever scrolls asks for the same pictures again and again.
    """
    first = await client.get(f"/images/{image.id}/thumbnail/small")
    monkeypatch.setattr(database, "reading", None)
    second = await client.get(f"/images/{image.id}/thumbnail/large")

    assert (first.status_code, second.status_code) == (200, 200)


async def test_a_size_that_there_is_not_is_not_found(client, image) -> None:
    """
    The sentence lists those that there are.
    """
    answer = await client.get(f"/images/{image.id}/thumbnail/huge")

    assert answer.status_code == 404
    assert "small, medium, large" in answer.json()["detail"]


async def test_what_is_no_raster_picture_is_downloaded_only(client, image, database) -> None:
    """
    A drawing may carry a script; it must never run on our origin.
    """
    async with database.writing() as session:
        await session.execute(update(Image).values(media_type="image/svg+xml"))
    answer = await client.get(f"/images/{image.id}")

    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_any_filename_is_safe_in_a_header(client, image, database) -> None:
    """
    Quotes, line ends and other scripts: old browsers get underscores, the others the name.
    """
    async with database.writing() as session:
        await session.execute(update(Image).values(file={"filename": 'ä"\r\nX: y.png'}))
    answer = await client.get(f"/images/{image.id}")

    assert 'filename="___' in answer.headers["content-disposition"]
    assert "filename*=UTF-8''%C3%A4%22%0D%0AX%3A%20y.png" in answer.headers["content-disposition"]
    assert "x" not in answer.headers
