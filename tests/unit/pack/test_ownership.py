"""Whose a file is, however somebody writes its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.comfyui_files import ADA, BOB, NOT_A_USER, Inhabited

from comfy_nodes.caller import Caller
from comfy_nodes.ownership import SHARED, OwnedFiles, SeenOutputs
from comfy_nodes.places import Folders, Name, Place

MEMBER = frozenset({"read", "submit"})
ada = Caller(ADA, "ada", "member", MEMBER)
root = Caller(NOT_A_USER, "root", "admin", MEMBER | {"admin"})

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows makes links for administrators alone")


class Record:
    """The sidecar, as far as it is asked whose an output is."""

    def __init__(self) -> None:
        self.owners: dict[tuple[str, str, str], str] = {}
        self.questions: list[tuple[str, str, str]] = []

    async def owner_of_output(self, kind: str, subfolder: str, filename: str) -> str | None:
        self.questions.append((kind, subfolder, filename))
        return self.owners.get((kind, subfolder, filename))


@pytest.fixture
def house(tmp_path: Path) -> Inhabited:
    return Inhabited(tmp_path)


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def files(house: Inhabited, record: Record) -> OwnedFiles:
    return OwnedFiles(Folders(house.folder_paths), SeenOutputs(), record.owner_of_output)


async def owner(files: OwnedFiles, kind: str, path: str) -> str | None:
    place = files.folders.place_of(Name(kind, path))
    return "outside" if place is None else await files.owner_of(place)


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("input", "shared.png", SHARED),
        ("input", "folder/shared too.png", SHARED),
        ("input", "not there.png", SHARED),
        ("input", f"genonaut/{BOB}/bob.png", BOB),
        ("input", f"genonaut/{BOB}/not there.png", BOB),
        ("output", f"genonaut/{BOB}/2026-01-01/bob_00001_.png", BOB),
        ("temp", f"genonaut/{BOB}/webcam/1.png", BOB),
        ("output", "old.png", None),
        ("temp", "ComfyUI_temp_abcde_00001_.png", None),
        ("input", "genonaut/lost.png", None),
        ("input", "genonaut", None),
        ("output", "genonaut/not-a-person/x.png", None),
        # Other ways to write the same
        ("input", f"./genonaut//{BOB}/./bob.png", BOB),
        ("input", f"folder/../genonaut/{BOB}/bob.png", BOB),
        ("input", f"genonaut/{ADA}/../{BOB}/bob.png", BOB),
        ("input", f"genonaut/{ADA}/pasted/../../{BOB}/bob.png", BOB),
        ("input", f"../output/genonaut/{BOB}/2026-01-01/bob_00001_.png", BOB),
        ("input", "../output/old.png", None),
        ("output", "../input/shared.png", SHARED),
        ("input", f"GENONAUT/{BOB}/bob.png", BOB),
        ("input", f"genonaut/{BOB.upper()}/bob.png", BOB),
        ("input", f"genonaut./{BOB} /bob.png", BOB),
        ("input", f"genonaut::$INDEX_ALLOCATION/{BOB}/bob.png", BOB),
        ("input", f"genonaut/{BOB}:stream/bob.png", BOB),
        # Out of it
        ("input", "../user/default/secret.json", "outside"),
        ("input", "../../../../../../etc/passwd", "outside"),
        ("input", "/etc/passwd", "outside"),
        ("input", "..", "outside"),
        ("input", "null\0byte.png", "outside"),
        ("elsewhere", "shared.png", "outside"),
        ("", "shared.png", "outside"),
    ],
)
async def test_a_name_is_its_files_owners_however_it_is_written(files: OwnedFiles, kind, path, expected) -> None:
    """What ComfyUI would open decides, not how somebody has written it."""
    assert await owner(files, kind, path) == expected


async def test_an_absolute_path_is_what_lies_there(files: OwnedFiles, house: Inhabited) -> None:
    """ComfyUI joins paths, and an absolute one wins: so it is looked at as ComfyUI would open it."""
    assert await owner(files, "input", str(house.base / f"output/genonaut/{BOB}/x.png")) == BOB
    assert await owner(files, "output", str(house.base / "input/shared.png")) == SHARED


@posix_only
async def test_links_are_followed(files: OwnedFiles, house: Inhabited) -> None:
    """Whatever a link among shared files leads to keeps its owner."""
    (house.base / "input" / "link.png").symlink_to(house.base / f"input/genonaut/{BOB}/bob.png")
    (house.base / "input" / "folder link").symlink_to(house.base / f"output/genonaut/{BOB}")
    (house.base / "input" / "out").symlink_to(house.base / "user")

    assert await owner(files, "input", "link.png") == BOB
    assert await owner(files, "input", "folder link/2026-01-01/bob_00001_.png") == BOB
    assert await owner(files, "input", "out/default/secret.json") == "outside"


@posix_only
async def test_comfyuis_folders_may_be_links_themselves(tmp_path: Path, record: Record) -> None:
    """Outputs often lie on another disk."""
    house = Inhabited(tmp_path / "comfyui")
    (house.base / "output").rename(tmp_path / "disk")
    (house.base / "output").symlink_to(tmp_path / "disk")
    files = OwnedFiles(Folders(house.folder_paths), SeenOutputs(), record.owner_of_output)

    assert await owner(files, "output", f"genonaut/{BOB}/x.png") == BOB
    assert await owner(files, "output", "old.png") is None


async def test_a_folder_inside_another_one_is_its_own(tmp_path: Path, record: Record) -> None:
    """ComfyUI's folders can be put anywhere; the innermost one counts."""
    house = Inhabited(tmp_path)
    folders = {"input": tmp_path, "output": tmp_path / "output", "temp": tmp_path / "temp"}
    house.folder_paths.get_directory_by_type = lambda kind: str(folders[kind])  # type: ignore[method-assign] # by options
    files = OwnedFiles(Folders(house.folder_paths), SeenOutputs(), record.owner_of_output)

    assert await owner(files, "input", "output/old.png") is None
    assert await owner(files, "input", "shared.png") == SHARED


async def test_what_no_folder_tells_the_record_does(files: OwnedFiles, record: Record) -> None:
    """It is asked once; what nobody recorded is asked about again, since it may be recorded a moment later."""
    record.owners["temp", "a", "seen.png"] = ADA
    for _ in range(2):
        assert await owner(files, "temp", "a/seen.png") == ADA
        assert await owner(files, "temp", "a/unseen.png") is None

    assert record.questions == [("temp", "a", "seen.png"), ("temp", "a", "unseen.png"), ("temp", "a", "unseen.png")]


async def test_what_a_folder_tells_nobody_is_asked(files: OwnedFiles, record: Record) -> None:
    """Neither about people's folders nor about the shared files."""
    for path in (f"genonaut/{BOB}/x.png", "shared.png", "genonaut/lost.png"):
        await owner(files, "input", path)

    assert record.questions == []


@pytest.mark.parametrize(
    "path", ["old.png", f"genonaut/{BOB}/2026-01-01/bob_00001_.png", "not there.png", "genonaut/x"]
)
async def test_a_member_finds_neither_nobodys_files_nor_others(files: OwnedFiles, path: str) -> None:
    """They look the same as what is not there."""
    assert await files.find(ada, Name("output", path)) is None


async def test_an_administrator_finds_what_is_nobodys_and_not_what_is_others(files: OwnedFiles) -> None:
    """Other people's files are not an administrator's business either."""
    assert await files.find(root, Name("output", "old.png")) == Name("output", "old.png")
    assert await files.find(root, Name("output", f"genonaut/{BOB}/2026-01-01/bob_00001_.png")) is None


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("input", "ada.png", f"genonaut/{ADA}/ada.png"),
        ("input", "pasted/image.png", f"genonaut/{ADA}/pasted/image.png"),
        ("temp", "webcam/1.png", f"genonaut/{ADA}/webcam/1.png"),
        ("input", "x/../ada.png", f"genonaut/{ADA}/ada.png"),
        ("input", "shared.png", "shared.png"),
        ("input", f"genonaut/{ADA}/ada.png", f"genonaut/{ADA}/ada.png"),
        ("input", "bob.png", "bob.png"),  # not theirs: what is shared under that name, or nothing
        ("input", f"../{BOB}/bob.png", None),
        ("input", f"../../genonaut/{BOB}/bob.png", None),
    ],
)
async def test_a_name_means_ones_own_file_first(files: OwnedFiles, kind, path, expected) -> None:
    """ComfyUI's page and many clients name an upload as they sent it, and not as they were answered."""
    assert await files.find(ada, Name(kind, path)) == (None if expected is None else Name(kind, expected))


def test_only_so_many_files_are_remembered() -> None:
    """Memory stays bounded however long ComfyUI runs."""
    seen = SeenOutputs(most=2)
    places = [Place("temp", (f"{name}.png",)) for name in "abc"]
    for place in places:
        seen.remember(place, ADA)

    assert [seen.owner_of(place) for place in places] == [None, ADA, ADA]


@posix_only
async def test_a_link_into_a_shared_folder_elsewhere_is_for_everybody(house: Inhabited, record: Record) -> None:
    """An administrator has named that folder; where else a link leads out, nobody follows it."""
    for folder in ("data", "secrets"):
        house.write(f"elsewhere/{folder}/1.png")
        (house.base / "input" / folder).symlink_to(house.base / "elsewhere" / folder)
    folders = Folders(house.folder_paths, [house.base / "elsewhere/data"])
    files = OwnedFiles(folders, SeenOutputs(), record.owner_of_output)

    assert await files.find(ada, Name("input", "data/1.png")) == Name("input", "data/1.png")
    assert await files.find(ada, Name("input", "secrets/1.png")) is None
    assert await files.find(root, Name("input", "secrets/1.png")) is None
