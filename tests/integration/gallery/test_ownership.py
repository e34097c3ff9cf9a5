"""Whose a file of ComfyUI's is, as far as the record tells."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from fakes.paired import AsPack
from integration.backends import only_embedded
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import AsyncTestClient
from sqlalchemy import text, update

from sidecar.accounts.paired import ProvenAnswers
from sidecar.clients import TrustedProxies
from sidecar.database import Database
from sidecar.entrance import Entrance
from sidecar.gallery.models import Image, ImageState
from sidecar.gallery.ownership import loose_name, recorded_owner
from sidecar.gallery.references import FileReference
from sidecar.gallery.routes import INTERNAL_ROUTES
from sidecar.problems import EXCEPTION_HANDLERS

ADA, BOB = uuid4(), uuid4()


def outputs_of(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"9": {"images": list(entries)}}


async def owner_of(database: Any, **reference: str) -> UUID | None:
    async with database.reading() as session:
        return await recorded_owner(session, FileReference(**reference))


async def test_a_loose_file_belongs_to_whoever_had_it_written(database, expect) -> None:
    """A preview, or what a node saves in a way of its own: no folder says whose it is."""
    await expect(outputs_of({"filename": "ComfyUI_temp_abcde_00001_.png", "type": "temp"}), ADA)
    await expect(outputs_of({"filename": "a.png", "subfolder": "by\\windows"}), BOB)

    assert await owner_of(database, filename="ComfyUI_temp_abcde_00001_.png", type="temp") == ADA
    assert await owner_of(database, filename="a.png", subfolder="by/windows") == BOB
    assert await owner_of(database, filename="a.png") is None
    assert await owner_of(database, filename="ComfyUI_temp_abcde_00001_.png", type="output") is None


async def test_a_name_that_several_people_have_had_is_nobodys(database, expect) -> None:
    """Two ComfyUIs may each have such a file, and nobody can say which one is asked for."""
    for owner in (ADA, BOB):
        await expect(outputs_of({"filename": "ComfyUI_00001_.png"}), owner)

    assert await owner_of(database, filename="ComfyUI_00001_.png") is None


async def test_what_is_withheld_is_nobodys(database, expect) -> None:
    """Also where its owner has had an older file of that name: who asks for it now would see the new one."""
    named, new = {"filename": "latest.png"}, {"filename": "new.png"}
    await expect(outputs_of(named), ADA)
    generation_id = await expect(outputs_of(named, new), ADA)
    async with database.writing() as session:
        await session.execute(update(Image).where(Image.generation_id == generation_id).values(is_withheld=True))

    assert await owner_of(database, **named) is None
    assert await owner_of(database, **new) is None


async def test_a_file_in_somebodys_folder_is_theirs_whoever_names_it(database, expect, images) -> None:
    """A node may say that it wrote any file; the gallery takes over only what is not somebody else's."""
    theirs = {"filename": "secret.png", "subfolder": f"genonaut/{ADA}/2026-01-01"}
    generation_id = await expect(outputs_of(theirs, {**theirs, "subfolder": f"GENONAUT\\{ADA}"}), BOB)

    taken = await images(generation_id)
    assert [image.state for image in taken] == [ImageState.CORRUPT.value] * 2
    assert [image.file for image in taken] == [{}, {}]
    assert await owner_of(database, **theirs) == ADA


@pytest.mark.parametrize(
    "entry",
    [
        {"filename": "secret.png", "subfolder": f"./genonaut/{ADA}"},
        {"filename": "secret.png", "subfolder": f"genonaut//{ADA}"},
        {"filename": "secret.png", "subfolder": f"genonaut/./{ADA}/."},
        {"filename": "secret.png", "subfolder": f"Genonaut. /{str(ADA).upper()}..."},
        {"filename": f"genonaut\\{ADA}\\secret.png"},
        {"filename": f"{ADA}\\secret.png", "subfolder": "genonaut"},
        {"filename": "secret.png", "subfolder": f"genonaut/{ADA}", "type": "input"},
    ],
)
async def test_however_it_is_written(expect, images, entry: dict[str, str]) -> None:
    """What one disk or another takes for the same folder is the same folder."""
    (image,) = await images(await expect(outputs_of(entry), BOB))

    assert image.state == ImageState.CORRUPT.value


async def test_what_lies_in_ones_own_folder_is_taken_over_and_not_indexed(expect, images) -> None:
    """The index is for loose files only: in a house with accounts, that is next to none."""
    generation_id = await expect(outputs_of({"filename": "mine.png", "subfolder": f"genonaut/{BOB}/2026-01-01"}), BOB)

    (image,) = await images(generation_id)
    assert (image.state, image.loose_file) == (ImageState.EXPECTED.value, None)


@only_embedded("SQLite alone tells its plan before there is anything to plan for")
async def test_the_owner_is_found_by_an_index(database) -> None:
    """However many images there are: the pack asks while somebody waits for a picture."""
    name = loose_name(FileReference("a.png"))
    async with database.reading() as session:
        plan = await session.execute(
            text("EXPLAIN QUERY PLAN SELECT DISTINCT owner_id FROM images WHERE loose_file = :name LIMIT 2"),
            {"name": name},
        )

    assert "ix_images_loose_file" in " ".join(str(row) for row in plan)


async def test_the_pack_asks_over_http(database_url, expect) -> None:
    """What nobody knows is a 404, like everything that is not there."""
    await expect(outputs_of({"filename": "ü [x].png", "subfolder": "a b", "type": "temp"}), ADA)
    # One of its own, since the client has an event loop of its own, and connections belong to one.
    database = Database(database_url)
    app = Litestar(
        INTERNAL_ROUTES,
        logging_config=None,
        dependencies={"database": Provide(lambda: database, sync_to_thread=False)},
        state=State({"pairing_secret": "paired"}),
        exception_handlers=EXCEPTION_HANDLERS,
        on_shutdown=[database.close],
    )
    app.asgi_handler = Entrance(ProvenAnswers(app.asgi_handler), TrustedProxies(()))
    async with AsyncTestClient(app) as pack:
        asked = {"type": "temp", "subfolder": "a b", "filename": "ü [x].png"}
        paired = AsPack("paired")
        stranger = await pack.get("/internal/outputs/owner", params=asked)
        known = await pack.get("/internal/outputs/owner", params=asked, auth=paired)
        unknown = await pack.get("/internal/outputs/owner", params={**asked, "filename": "b.png"}, auth=paired)

    assert stranger.status_code == 401
    assert (known.status_code, known.json()) == (200, {"owner_id": str(ADA)})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
