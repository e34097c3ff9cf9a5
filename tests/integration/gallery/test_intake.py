"""Images are expected once and kept once, whatever dies in between."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import zlib
from pathlib import Path
from typing import Any

import pytest
from fakes.folders import Folder, Killed, RemoteFolder, UnreachableFolder, png
from integration.backends import both_databases
from PIL import Image as Pictures
from sqlalchemy import select, update

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.errors import ComfyUIUnreachable, StorageUnavailable
from sidecar.gallery.expected import expect_images, unfinished
from sidecar.gallery.intake import TRIES_AT_MOST, Intake
from sidecar.gallery.models import Image, ImageState
from sidecar.gallery.references import FileReference
from sidecar.gallery.thumbnails import make_thumbnails
from sidecar.identity import now, uuid7


def outputs_of(*entries: Any, node_id: str = "9") -> dict[str, Any]:
    return {node_id: {"images": list(entries)}}


@both_databases
async def test_outputs_recorded_twice_are_expected_once(database, new_generation, images) -> None:
    """
    The recorder may run again after a crash; the second time adds nothing, whatever order the nodes come in.
    """
    generation_id = await new_generation()
    outputs = {
        "9": {"images": [{"filename": "a.png"}, {"filename": "b.png"}]},
        "12": {"images": [{"filename": "c.png"}]},
    }
    for again in (outputs, dict(reversed(outputs.items()))):
        async with database.writing() as session:
            await expect_images(session, owner_id=LOCAL_OWNER_ID, generation_id=generation_id, outputs=again, now=now())

    stored = await images(generation_id)
    assert [(image.node_id, image.position, image.file["filename"]) for image in stored] == [
        ("9", 0, "a.png"),
        ("9", 1, "b.png"),
        ("12", 2, "c.png"),
    ]


@both_databases
async def test_entries_that_cannot_be_used_are_recorded_as_corrupt(expect, images) -> None:
    """
    Any node may report anything; it is told, and never stops the rest.
    """
    generation_id = await expect(
        outputs_of(
            "not a dict",
            {"subfolder": "without a name"},
            {"filename": 7},
            {"filename": "../../etc/passwd.png"},
            {"filename": "a.png", "subfolder": "..\\..\\Windows"},
            {"filename": "a.png", "subfolder": "/etc"},
            {"filename": "a.png", "type": "elsewhere"},
            {"filename": "good.png"},
        )
    )

    stored = await images(generation_id)
    assert [image.state for image in stored] == [*["corrupt"] * 7, "expected"]
    assert all(image.reason for image in stored[:7])


@pytest.mark.parametrize(
    "outputs", [None, [], "text", {"9": None}, {"9": {"images": "text"}}, {"9": {"text": ["a"]}}, {"9": {"images": []}}]
)
async def test_outputs_without_pictures_expect_nothing(expect, images, outputs) -> None:
    """
    Text, nothing at all, or something that is not of the shape of outputs.
    """
    generation_id = await expect(outputs)

    assert await images(generation_id) == []


async def test_what_is_no_picture_is_left_out(expect, images) -> None:
    """
    ComfyUI reports videos under `images` too; drawings that can carry scripts are no pictures either.
    """
    generation_id = await expect(outputs_of({"filename": "a.mp4"}, {"filename": "b.svg"}, {"filename": "c.PNG"}))

    assert [image.file["filename"] for image in await images(generation_id)] == ["c.PNG"]


async def test_previews_of_nodes_are_marked_as_temporary(expect, images) -> None:
    """
    *Preview Image* writes to the temp folder.
    """
    generation_id = await expect(outputs_of({"filename": "a.png", "type": "temp"}, {"filename": "b.png"}))

    assert [image.temporary for image in await images(generation_id)] == [True, False]


@both_databases
async def test_an_image_is_kept_with_its_facts_and_thumbnails(
    expect, images, intake, folder, store, announcements
) -> None:
    """
    The bytes are ours as they were, and everything that is shown of them is known.
    """
    content = png(1500, 1000)
    generation_id = await expect(outputs_of(folder.write("a.png", content, subfolder="today")))
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert (image.state, image.reason, image.kept_at is not None, image.tries) == ("kept", "", True, 1)
    assert (image.width, image.height, image.bytes, image.media_type) == (1500, 1000, len(content), "image/png")
    assert image.etag == hashlib.sha256(content).hexdigest()
    assert await store.read(image.storage_key) == content
    assert {size: (it["width"], it["height"]) for size, it in image.thumbnails.items()} == {
        "small": (256, 171),
        "medium": (512, 341),
        "large": (1024, 683),
    }
    for thumbnail in image.thumbnails.values():
        stored = await store.read(thumbnail["key"])
        assert len(stored) == thumbnail["bytes"]
        with Pictures.open(io.BytesIO(stored)) as picture:
            assert (picture.format, picture.size) == ("WEBP", (thumbnail["width"], thumbnail["height"]))
    assert announcements.made == [generation_id]


async def test_a_file_of_our_own_node_is_not_copied(expect, images, intake, folder, store) -> None:
    """
    A picture of 20 MB lies on the disk once, under two names; ComfyUI may delete its own.
    """
    content = png()
    outputs = outputs_of(folder.write("a.png", content))
    outputs["9"]["genonaut"] = [{"bytes": len(content)}]
    generation_id = await expect(outputs)
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    original = folder.root / "output" / "a.png"
    assert (store.folder / image.storage_key).samefile(original)
    original.unlink()
    assert await store.has(image.storage_key)


@pytest.mark.parametrize("reported", [{}, {"bytes": 7}])
async def test_an_image_stays_as_it_was_when_a_node_overwrites_its_file(
    expect, images, intake, folder, store, reported
) -> None:
    """
    Nodes that save `latest.png` again write into the same file; also those that claim to be ours.
    """
    first = png(300, 200)
    outputs = outputs_of(folder.write("latest.png", first))
    outputs["9"]["genonaut"] = [reported]
    generation_id = await expect(outputs)
    await intake.keep_images({}, generation_id=str(generation_id))
    folder.write("latest.png", png(640, 480))

    (image,) = await images(generation_id)
    assert await store.read(image.storage_key) == first


async def test_an_image_is_measured_as_it_was_kept(expect, images, intake, folder, store, monkeypatch) -> None:
    """
    A node overwrites its file at the last moment before it is taken: facts and bytes are of the same picture.
    """
    second = png(640, 480)
    generation_id = await expect(outputs_of(folder.write("latest.png", png(300, 200))))
    adopt = store.adopt

    async def adopt_what_was_just_overwritten(*args: Any, **options: Any) -> None:
        folder.write("latest.png", second)
        await adopt(*args, **options)

    monkeypatch.setattr(store, "adopt", adopt_what_was_just_overwritten)
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert (image.width, image.height, image.bytes) == (640, 480, len(second))
    assert image.etag == hashlib.sha256(await store.read(image.storage_key)).hexdigest()


async def test_a_file_on_another_machine_is_fetched(database, expect, images, store, folder, announcements) -> None:
    """
    Where ComfyUI's folders cannot be seen from here, its HTTP door gives the bytes.
    """
    intake = Intake(database, store, RemoteFolder(folder.root), announcements)
    content = png()
    generation_id = await expect(outputs_of(folder.write("a.png", content)))
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert image.state == ImageState.KEPT.value
    assert await store.read(image.storage_key) == content


def damaged() -> dict[str, bytes]:
    whole = png(400, 400)
    return {
        "empty": b"",
        "text": b"this is no picture",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "truncated": whole[: len(whole) // 2],
        "only the head": whole[:40],
        "scrambled": whole[:60] + bytes(len(whole) - 80) + whole[-20:],
        "enormous": whole[:16] + (60_000).to_bytes(4, "big") * 2 + whole[24:],
        "claims 15000 x 15000": claims(whole, 15_000),
    }


def claims(whole: bytes, side: int) -> bytes:
    """A small PNG whose header says that it is large, with a right checksum."""

    head = b"IHDR" + side.to_bytes(4, "big") * 2 + whole[24:29]
    return whole[:12] + head + zlib.crc32(head).to_bytes(4, "big") + whole[33:]


@pytest.mark.parametrize("kind", damaged())
@pytest.mark.parametrize("source", [Folder, RemoteFolder])
async def test_an_unreadable_file_is_corrupt_and_the_rest_goes_on(
    database, expect, images, store, folder, announcements, source, kind
) -> None:
    """
    Each damage is told in a sentence; the pictures beside it are kept.
    """
    intake = Intake(database, store, source(folder.root), announcements)
    generation_id = await expect(outputs_of(folder.write("bad.png", damaged()[kind]), folder.write("good.png", png())))
    await intake.keep_images({}, generation_id=str(generation_id))

    bad, good = await images(generation_id)
    assert (bad.state, good.state) == ("corrupt", "kept")
    assert bad.reason.startswith("The file bad.png cannot be read as an image: ")
    assert bad.storage_key is None


async def test_a_file_that_is_gone_is_missing_and_the_rest_goes_on(expect, images, intake, folder) -> None:
    """
    Somebody cleaned ComfyUI's folder before the image was kept.
    """
    generation_id = await expect(outputs_of({"filename": "gone.png"}, folder.write("good.png", png())))
    await intake.keep_images({}, generation_id=str(generation_id))

    gone, good = await images(generation_id)
    assert (gone.state, good.state) == ("missing", "kept")
    assert "gone.png" in gone.reason


async def test_comfyui_away_halfway_is_tried_again_from_there(
    database, expect, images, store, folder, announcements
) -> None:
    """
    What was kept stays kept and is shown; the job fails so that the queue repeats it.
    """
    source = UnreachableFolder(folder.root, answers=1)
    intake = Intake(database, store, source, announcements)
    generation_id = await expect(outputs_of(folder.write("a.png", png()), folder.write("b.png", png())))
    with pytest.raises(ComfyUIUnreachable):
        await intake.keep_images({}, generation_id=str(generation_id))
    halfway = [(image.state, image.tries) for image in await images(generation_id)]
    source.answers = 5
    await intake.keep_images({}, generation_id=str(generation_id))

    assert halfway == [("kept", 1), ("expected", 0)]
    assert [image.state for image in await images(generation_id)] == ["kept", "kept"]
    assert announcements.made == [generation_id, generation_id]


@both_databases
async def test_keeping_twice_changes_nothing(expect, images, intake, folder, announcements) -> None:
    """
    The queue may run a job again after it has ended.
    """
    generation_id = await expect(outputs_of(folder.write("a.png", png())))
    await intake.keep_images({}, generation_id=str(generation_id))
    (before,) = await images(generation_id)
    (folder.root / "output" / "a.png").unlink()
    await intake.keep_images({}, generation_id=str(generation_id))

    (after,) = await images(generation_id)
    assert (after.kept_at, after.etag, after.thumbnails) == (before.kept_at, before.etag, before.thumbnails)
    assert announcements.made == [generation_id, generation_id]


@both_databases
async def test_the_slower_of_two_runs_changes_nothing(database, expect, images, store, folder, announcements) -> None:
    """
    The queue may believe a job dead that only is slow: what the other one kept stays kept.
    """
    quick = Intake(database, store, folder, announcements)

    class OvertakenFolder(RemoteFolder):
        async def fetch(self, file: FileReference) -> bytes:
            await quick.keep_images({}, generation_id=str(generation_id))
            (folder.root / "output" / file.filename).unlink()
            await store.delete((await images(generation_id))[0].storage_key)
            return await super().fetch(file)

    generation_id = await expect(outputs_of(folder.write("a.png", png())))
    slow = Intake(database, store, OvertakenFolder(folder.root), announcements)
    await slow.keep_images({}, generation_id=str(generation_id))

    assert [image.state for image in await images(generation_id)] == ["kept"]


async def test_a_process_killed_before_the_announcement_announces_at_the_next_run(
    expect, images, intake, folder, announcements
) -> None:
    """
    The browsers hear of it although nothing was left to keep.
    """
    generation_id = await expect(outputs_of(folder.write("a.png", png())))
    announcements.dies = True
    with pytest.raises(Killed):
        await intake.keep_images({}, generation_id=str(generation_id))
    announcements.dies = False
    await intake.keep_images({}, generation_id=str(generation_id))

    assert [image.state for image in await images(generation_id)] == ["kept"]
    assert announcements.made == [generation_id]


@pytest.mark.parametrize("step", ["_bring_in", "_picture", "_finish"])
async def test_a_process_killed_between_any_two_steps_keeps_the_image_at_the_next_run(
    expect, images, intake, folder, step, monkeypatch
) -> None:
    """
    Bytes first, row last: whatever was done already is done again with the same result.
    """
    generation_id = await expect(outputs_of(folder.write("a.png", png())))
    with monkeypatch.context() as patch:
        patch.setattr(intake, step, kill)
        with pytest.raises(Killed):
            await intake.keep_images({}, generation_id=str(generation_id))
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert (image.state, image.tries) == ("kept", 2)


async def kill(*_args: Any, **_options: Any) -> None:
    raise Killed


async def test_bytes_stored_by_a_run_that_died_outlive_comfyuis_file(
    expect, images, intake, folder, store, monkeypatch
) -> None:
    """
    ComfyUI empties its temp folder when it starts; what lies in our store already is not lost with it.
    """
    content = png()
    generation_id = await expect(outputs_of(folder.write("a.png", content, kind="temp")))
    with monkeypatch.context() as patch:
        patch.setattr(intake, "_finish", kill)
        with pytest.raises(Killed):
            await intake.keep_images({}, generation_id=str(generation_id))
    (folder.root / "temp" / "a.png").unlink()
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert image.state == ImageState.KEPT.value
    assert await store.read(image.storage_key) == content


async def test_a_picture_that_kills_the_process_does_so_a_few_times_only(
    database, expect, images, intake, folder
) -> None:
    """
    A picture that takes all of the memory must not end the sidecar for ever.
    """
    generation_id = await expect(outputs_of(folder.write("a.png", png())))
    async with database.writing() as session:
        await session.execute(update(Image).values(tries=TRIES_AT_MOST))
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert image.state == ImageState.CORRUPT.value
    assert "left alone" in image.reason


async def test_a_full_disk_is_nobodys_fault_and_is_tried_again(
    expect, images, intake, folder, store, monkeypatch
) -> None:
    """
    Tries are counted only for runs that did not live to see their end.
    """

    async def full(*_args: Any) -> None:
        raise StorageUnavailable

    generation_id = await expect(outputs_of(folder.write("a.png", png())))
    monkeypatch.setattr(store, "put", full)
    with pytest.raises(StorageUnavailable):
        await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert (image.state, image.tries) == ("expected", 0)


async def test_a_file_that_the_system_cannot_read_now_is_not_called_corrupt(
    expect, images, intake, folder, monkeypatch
) -> None:
    """
    A network drive that hiccups says nothing about the picture; it is tried again.
    """

    def stumble(*_args: Any, **_options: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    generation_id = await expect(outputs_of(folder.write("a.png", png())))
    with monkeypatch.context() as patch:
        patch.setattr(Pictures, "open", stumble)
        with pytest.raises(StorageUnavailable, match=r"a\.png"):
            await intake.keep_images({}, generation_id=str(generation_id))
    between = [(image.state, image.tries) for image in await images(generation_id)]
    await intake.keep_images({}, generation_id=str(generation_id))

    assert between == [("expected", 0)]
    assert [image.state for image in await images(generation_id)] == ["kept"]


async def test_a_file_of_another_user_of_this_machine_is_fetched(
    database, expect, images, store, folder, announcements, monkeypatch
) -> None:
    """
    ComfyUI may run as somebody whose files cannot be read from here; its HTTP door gives the bytes all the same.
    """

    class ClosedFolder(RemoteFolder):
        local_path = Folder.local_path

    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    intake = Intake(database, store, ClosedFolder(folder.root), announcements)
    generation_id = await expect(outputs_of(folder.write("a.png", png())))
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert image.state == ImageState.KEPT.value
    assert not (store.folder / image.storage_key).samefile(folder.root / "output" / "a.png")


def report(folder: Folder, content: bytes, **changes: Any) -> dict[str, Any]:
    """What *Save Image (Genonaut)* reports, with its thumbnails in their folder."""
    made = make_thumbnails(content)
    thumbnails = {
        size: {
            **folder.write(f"a.{size}.webp", thumbnail.content, subfolder=".thumbnails"),
            "width": thumbnail.width,
            "height": thumbnail.height,
        }
        for size, thumbnail in made.thumbnails.items()
    }
    return {"thumbhash": made.thumbhash, "thumbnails": thumbnails, **changes}


async def test_thumbnails_made_in_the_graph_are_taken_over(expect, images, intake, folder, store) -> None:
    """
    They cost no time here: their bytes are stored as they are.
    """
    content = png(600, 400)
    reported = report(folder, content, thumbhash="AAAAAAAA")
    outputs = {"9": {"images": [folder.write("a.png", content)], "genonaut": [reported]}}
    marked = (folder.root / "output" / ".thumbnails" / "a.small.webp").read_bytes()
    generation_id = await expect(outputs)
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert image.thumbhash == "AAAAAAAA"
    assert await store.read(image.thumbnails["small"]["key"]) == marked


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder.root / "output" / ".thumbnails" / "a.medium.webp").unlink(),
        lambda folder: folder.write("a.small.webp", b"no picture", subfolder=".thumbnails"),
        lambda folder: folder.write("a.large.webp", png(600, 400), subfolder=".thumbnails"),
        lambda folder: folder.write(
            "a.large.webp", make_thumbnails(png(90, 90)).thumbnails["small"].content, subfolder=".thumbnails"
        ),
    ],
    ids=["gone", "damaged", "a PNG", "of another picture"],
)
async def test_unsound_thumbnails_from_the_graph_are_made_anew(expect, images, intake, folder, store, spoil) -> None:
    """
    A report is a hint; what it names is looked at before it is believed.
    """
    content = png(600, 400)
    outputs = {"9": {"images": [folder.write("a.png", content)], "genonaut": [report(folder, content)]}}
    spoil(folder)
    generation_id = await expect(outputs)
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert image.state == ImageState.KEPT.value
    for size, thumbnail in make_thumbnails(content).thumbnails.items():
        assert await store.read(image.thumbnails[size]["key"]) == thumbnail.content


@pytest.mark.parametrize(
    "reported", ["text", {"thumbnails": 5}, {"thumbnails": {"small": 1, "medium": 2, "large": 3}}, {"thumbhash": "%%%"}]
)
async def test_a_report_of_another_shape_does_no_harm(expect, images, intake, folder, reported) -> None:
    """
    Other packs may use the same word.
    """
    outputs = {"9": {"images": [folder.write("a.png", png())], "genonaut": [reported]}}
    generation_id = await expect(outputs)
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert image.state == ImageState.KEPT.value


async def test_a_reported_thumbnail_cannot_lead_out_of_its_folder(
    expect, images, intake, folder, tmp_path: Path
) -> None:
    """
    Reports name files as outputs do, and are checked as they are.
    """
    content = png(600, 400)
    reported = report(folder, content)
    reported["thumbnails"]["small"]["subfolder"] = "../../secret"
    outputs = {"9": {"images": [folder.write("a.png", content)], "genonaut": [reported]}}
    generation_id = await expect(outputs)
    await intake.keep_images({}, generation_id=str(generation_id))

    (image,) = await images(generation_id)
    assert image.state == ImageState.KEPT.value


@both_databases
async def test_two_generations_may_have_the_same_file(expect, images, intake, folder, store) -> None:
    """
    ComfyUI's cache names the file of an earlier prompt; deleting one image never takes it from the other.
    """
    reference = folder.write("a.png", png())
    first, second = await expect(outputs_of(reference)), await expect(outputs_of(reference))
    for generation_id in (first, second):
        await intake.keep_images({}, generation_id=str(generation_id))
    (one,), (other,) = await images(first), await images(second)
    await store.delete(one.storage_key)

    assert await store.has(other.storage_key)


@both_databases
async def test_generations_with_expected_images_are_unfinished(database, expect, intake, folder) -> None:
    """
    What the sweeper finds after a crash, each once.
    """
    done = await expect(outputs_of(folder.write("a.png", png())))
    await intake.keep_images({}, generation_id=str(done))
    left = await expect(outputs_of({"filename": "b.png"}, {"filename": "c.png"}))

    async with database.reading() as session:
        assert await unfinished(session) == [left]


async def test_a_generation_without_images_is_announced_and_nothing_else(database, intake, announcements) -> None:
    """
    A token for something that is not there does no harm.
    """
    await intake.keep_images({}, generation_id=str(uuid7()))

    async with database.reading() as session:
        assert (await session.scalars(select(Image))).all() == []
    assert len(announcements.made) == 1


async def test_a_job_says_between_two_images_that_it_is_alive(expect, intake, folder) -> None:
    """
    A generation with many large images takes longer than the queue waits for a sign of life.
    """

    class Job:
        updates = 0

        async def update(self) -> None:
            self.updates += 1

    job = Job()
    generation_id = await expect(
        outputs_of(folder.write("a.png", png()), folder.write("b.png", png()), folder.write("c.png", png()))
    )
    await intake.keep_images({"job": job}, generation_id=str(generation_id))

    assert job.updates == 2
