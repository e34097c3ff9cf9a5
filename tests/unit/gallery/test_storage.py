"""The store: whole or not there, and the same when done twice."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import StorageUnavailable
from sidecar.gallery.storage import ImageStore, image_key, thumbnail_key
from sidecar.identity import uuid7


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "ComfyUI_00001_.png"
    file.write_bytes(b"picture")
    return file


def test_keys_are_spread_over_folders() -> None:
    """
    Ids of one hour begin alike; their ends do not.
    """
    image_id = uuid7()

    assert image_key(image_id, ".png") == f"images/{str(image_id)[-2:]}/{image_id}.png"
    assert thumbnail_key(image_id, "small") == f"thumbnails/{str(image_id)[-2:]}/{image_id}.small.webp"
    assert len({image_key(uuid7(), ".png").split("/")[1] for _ in range(200)}) > 50


async def test_what_is_put_can_be_read_in_whole_and_in_part(store: ImageStore) -> None:
    """
    Putting twice is putting once; the last one counts.
    """
    await store.put("images/ab/1.png", b"before")
    await store.put("images/ab/1.png", b"picture")

    assert await store.read("images/ab/1.png") == b"picture"
    assert b"".join([piece async for piece in await store.stream("images/ab/1.png", 2, 5)]) == b"ctu"


async def test_what_is_deleted_is_gone(store: ImageStore) -> None:
    """
    Deleting it again is no error.
    """
    await store.put("images/ab/1.png", b"picture")
    await store.delete("images/ab/1.png")
    await store.delete("images/ab/1.png")

    assert not await store.has("images/ab/1.png")
    with pytest.raises(FileNotFoundError):
        await store.read("images/ab/1.png")
    with pytest.raises(FileNotFoundError):
        await store.stream("images/ab/1.png", 0, 1)


async def test_an_adopted_file_is_the_same_file(store: ImageStore, file: Path) -> None:
    """
    Also the second time, which leaves nothing else behind.
    """
    await store.adopt("images/ab/1.png", file, may_link=True)
    await store.adopt("images/ab/1.png", file, may_link=True)

    assert (store.folder / "images/ab/1.png").samefile(file)
    assert [path.name for path in (store.folder / "images/ab").iterdir()] == ["1.png"]


async def test_a_file_that_may_be_written_again_is_copied(store: ImageStore, file: Path) -> None:
    """
    What is written into it later is not in ours.
    """
    await store.adopt("images/ab/1.png", file, may_link=False)
    file.write_bytes(b"another")

    assert await store.read("images/ab/1.png") == b"picture"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK])
async def test_a_file_that_cannot_be_linked_is_copied(
    store: ImageStore, file: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """
    Another file system, one without hard links, or too many of them.
    """

    def refuse(*_args: Any, **_options: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    await store.adopt("images/ab/1.png", file, may_link=True)
    file.unlink()

    assert await store.read("images/ab/1.png") == b"picture"


async def test_adopting_over_other_bytes_replaces_them(store: ImageStore, file: Path) -> None:
    """
    The key then has what was adopted last.
    """
    await store.put("images/ab/1.png", b"other")
    await store.adopt("images/ab/1.png", file, may_link=True)

    assert await store.read("images/ab/1.png") == b"picture"


async def test_adopting_through_a_symbolic_link_takes_the_file(store: ImageStore, file: Path, tmp_path: Path) -> None:
    """
    Never the link itself, which could be pointed elsewhere later.
    """
    link = tmp_path / "link.png"
    link.symlink_to(file)
    await store.adopt("images/ab/1.png", link, may_link=True)

    assert not (store.folder / "images/ab/1.png").is_symlink()


async def test_a_file_that_is_gone_cannot_be_adopted(store: ImageStore, tmp_path: Path) -> None:
    """
    That is another trouble than a store that does not work.
    """
    with pytest.raises(FileNotFoundError):
        await store.adopt("images/ab/1.png", tmp_path / "gone.png", may_link=True)


async def test_a_store_that_cannot_be_written_says_so(store: ImageStore, file: Path) -> None:
    """
    One sentence with the folder's name, whatever went wrong below.
    """
    (store.folder / "images").write_bytes(b"a file where a folder must be")

    for attempt in (store.put("images/ab/1.png", b"picture"), store.adopt("images/ab/1.png", file, may_link=True)):
        with pytest.raises(StorageUnavailable, match=r"The folder of the images, .*, cannot be used"):
            await attempt


def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """
    At the start, where it can be mended.
    """
    (tmp_path / "store").write_bytes(b"a file where a folder must be")

    with pytest.raises(StorageUnavailable):
        ImageStore(tmp_path / "store")
