"""Deleting: out of sight first, for good later."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from fakes.comfyui import ScriptedComfyUI
from integration.backends import both_databases, every_backend
from PIL import Image
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.errors import NotRestorable, StillOpen
from sidecar.gallery.models import Image as KeptImage
from sidecar.generations import trash
from sidecar.generations.filters import Filter
from sidecar.generations.models import Generation, GenerationEvent, Workflow
from sidecar.generations.trash import delete_generation
from sidecar.identity import now
from sidecar.parts import Parts

from .conftest import WORKFLOW, StartSidecar, show, submit, until, until_state

OUTPUTS = {"2": {"images": [{"filename": "picture.png", "subfolder": "", "type": "output"}]}}
IN_THE_TRASH = Filter(trashed=True)


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    return file.getvalue()


async def complete(parts: Parts, comfyui: ScriptedComfyUI, *, with_image: bool = False) -> UUID:
    """A generation that has ended; its image, if any, is the file that ComfyUI gave all others too."""
    comfyui.files["picture.png"] = picture()
    generation_id = await submit(parts)
    await until(lambda: str(generation_id) in comfyui.pending)
    await comfyui.finish(str(generation_id), outputs=OUTPUTS if with_image else {})
    await until_state(parts, generation_id, "completed")
    if with_image:

        async def kept() -> bool:
            return [image.state for image in (await show(parts, generation_id)).images] == ["kept"]

        await until(kept)
    return generation_id


async def listed(parts: Parts, wanted: Filter | None = None) -> list[UUID]:
    page = await parts.history.page(LOCAL_OWNER_ID, limit=10, wanted=wanted or Filter())
    return [item.id for item in page.items]


async def lay_there_for(parts: Parts, generation_id: UUID, days: float) -> None:
    async with parts.database.writing() as session:
        generation = await session.get_one(Generation, generation_id)
        generation.trashed_at = now() - timedelta(days=days)


async def count(parts: Parts, table: type) -> int:
    async with parts.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


def files_of(folder: Path) -> set[str]:
    return {file.name for file in (folder / "images").rglob("*") if file.is_file()}


@every_backend
async def test_what_is_deleted_lies_in_the_trash_and_comes_back_whole(start_sidecar: StartSidecar):
    """The list hides it, the trash shows it, its images can still be seen, and restoring undoes it all."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await complete(parts, comfyui, with_image=True)
        before = await show(parts, generation_id)
        await parts.trash.put_in(LOCAL_OWNER_ID, generation_id)
        trashed = await show(parts, generation_id)

        assert (await listed(parts), await listed(parts, IN_THE_TRASH)) == ([], [generation_id])
        assert trashed.trashed_at is not None
        assert trashed.updated_at > before.updated_at
        assert trashed.images == before.images

        await parts.trash.take_out(LOCAL_OWNER_ID, generation_id)

        assert (await listed(parts), await listed(parts, IN_THE_TRASH)) == ([generation_id], [])


async def test_deleting_and_restoring_twice_is_fine(start_sidecar: StartSidecar):
    """Who got no answer asks again, and its days in the trash do not begin anew."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await complete(parts, comfyui)
        await parts.trash.put_in(LOCAL_OWNER_ID, generation_id)
        first = await show(parts, generation_id)
        await parts.trash.put_in(LOCAL_OWNER_ID, generation_id)

        assert await show(parts, generation_id) == first

        for _ in range(2):
            await parts.trash.take_out(LOCAL_OWNER_ID, generation_id)


async def test_what_has_not_ended_is_not_deleted_unless_it_may_be_cancelled(start_sidecar: StartSidecar):
    """With `cancel` it is taken back in ComfyUI, too, and comes to its end in the trash."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.start(str(generation_id))
        await until_state(parts, generation_id, "running")
        with pytest.raises(StillOpen):
            await parts.trash.put_in(LOCAL_OWNER_ID, generation_id)
        await parts.trash.put_in(LOCAL_OWNER_ID, generation_id, cancel=True)
        await until_state(parts, generation_id, "cancelled")

        assert comfyui.running == []
        assert await listed(parts, IN_THE_TRASH) == [generation_id]


@every_backend
async def test_what_has_been_in_the_trash_for_its_days_is_removed_with_its_files(
    start_sidecar: StartSidecar, tmp_path: Path
):
    """Rows, files, and the workflow that nobody else has; what was deleted later stays."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await complete(parts, comfyui, with_image=True)
        await parts.trash.put_in(LOCAL_OWNER_ID, generation_id)
        await lay_there_for(parts, generation_id, 29.9)
        await parts.trash.purge({})
        assert await listed(parts, IN_THE_TRASH) == [generation_id]

        await lay_there_for(parts, generation_id, 30.1)
        for _ in range(2):
            await parts.trash.purge({})

        assert [await count(parts, table) for table in (Generation, GenerationEvent, KeptImage, Workflow)] == [0] * 4
        assert files_of(tmp_path) == set()


@both_databases
async def test_an_image_that_another_generation_has_too_stays_with_that_one(
    start_sidecar: StartSidecar, tmp_path: Path
):
    """ComfyUI answered the second one from its cache: both name the same file of its output folder."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        first, second = [await complete(parts, comfyui, with_image=True) for _ in range(2)]
        await parts.trash.put_in(LOCAL_OWNER_ID, first)
        await lay_there_for(parts, first, 31)
        await parts.trash.purge({})
        image = (await show(parts, second)).images[0]

        assert files_of(tmp_path)
        assert all(str(image.id) in name for name in files_of(tmp_path))
        assert await count(parts, Workflow) == 1


async def test_what_is_about_to_be_removed_for_good_is_not_restored(start_sidecar: StartSidecar):
    """Some of its files may be gone already."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await complete(parts, comfyui)
        await parts.trash.put_in(LOCAL_OWNER_ID, generation_id)
        await lay_there_for(parts, generation_id, 30.01)

        with pytest.raises(NotRestorable):
            await parts.trash.take_out(LOCAL_OWNER_ID, generation_id)


@both_databases
async def test_what_cannot_be_removed_keeps_nothing_else_in_the_trash(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
):
    """However it fails, and also where as many fail as are looked at in one go; each has its turn again."""
    monkeypatch.setattr(trash, "PURGED_AT_ONCE", 2)
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = [await complete(parts, comfyui) for _ in range(3)]
        for days, generation_id in zip((33, 32, 31), ids, strict=True):
            await parts.trash.put_in(LOCAL_OWNER_ID, generation_id)
            await lay_there_for(parts, generation_id, days)
        stays = set(ids[:2])

        async def delete(session: AsyncSession, generation_id: UUID) -> None:
            if generation_id in stays:
                raise RuntimeError("A fault of ours")
            await delete_generation(session, generation_id)

        monkeypatch.setattr(trash, "delete_generation", delete)
        for _ in range(2):
            await parts.trash.purge({})
        left = set(await listed(parts, IN_THE_TRASH))
        stays.clear()
        await parts.trash.purge({})

        assert left == set(ids[:2])
        assert await listed(parts, IN_THE_TRASH) == []


async def test_what_has_not_ended_is_never_removed_for_good(start_sidecar: StartSidecar):
    """It was cancelled while ComfyUI was away, and nobody has heard of its end."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts, WORKFLOW)
        await until(lambda: comfyui.pending)
        await lay_there_for(parts, generation_id, 99)
        await parts.trash.purge({})

        assert (await show(parts, generation_id)).id == generation_id


async def test_every_step_can_be_read_with_its_time(start_sidecar: StartSidecar):
    """Also where ComfyUI's clock is an hour behind: times never go back."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        comfyui.clock_behind_s = 3600
        generation_id = await complete(parts, comfyui)
        steps = (await parts.history.timeline(LOCAL_OWNER_ID, generation_id)).items
        view = await show(parts, generation_id)

        assert [step.state for step in steps] == ["pending", "submitted", "completed"]
        assert [step.at for step in steps] == sorted(step.at for step in steps)
        assert view.started_at is not None
        assert view.finished_at is not None
        assert view.created_at <= view.started_at <= view.finished_at == steps[-1].at


@both_databases
async def test_the_number_of_what_was_removed_for_good_is_nobody_elses(idle_parts: Parts):
    """It may stand in somebody's notes, and be the newest of all."""
    ids = [await submit(idle_parts) for _ in range(2)]
    async with idle_parts.database.writing() as session:
        for generation_id in ids:
            await delete_generation(session, generation_id)
    new = await show(idle_parts, await submit(idle_parts))

    assert new.number == 3
