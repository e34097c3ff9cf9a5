"""Names and places of files, as ComfyUI and file systems take them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.comfyui_files import ADA, NOT_A_USER, Inhabited

from comfy_nodes.places import Folders, is_plain_name, plainly


def test_ones_own_files_are_listed_newest_first(tmp_path: Path) -> None:
    """By the names under which nodes load them; what lies in hidden folders (thumbnails) is left out."""
    house = Inhabited(tmp_path)
    for day, at in (("2026-01-02", 200), ("2026-01-03", 300), ("2026-01-01", 100)):
        os.utime(house.write(f"output/genonaut/{ADA}/{day}/x.png"), (at, at))
    house.write(f"output/genonaut/{ADA}/2026-01-03/.thumbnails/x.small.webp")
    os.utime(house.base / f"output/genonaut/{ADA}/2026-01-01/ada_00001_.png", (50, 50))
    folders = Folders(house.folder_paths)

    assert folders.list_own("output", ADA) == [
        f"genonaut/{ADA}/2026-01-03/x.png",
        f"genonaut/{ADA}/2026-01-02/x.png",
        f"genonaut/{ADA}/2026-01-01/x.png",
        f"genonaut/{ADA}/2026-01-01/ada_00001_.png",
    ]
    assert folders.list_own("output", NOT_A_USER) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "a\nb", "a\x7f"])
def test_such_names_are_not_plain(name: str) -> None:
    """On no file system."""
    assert not is_plain_name(name, windows=False)
    assert not is_plain_name(name, windows=True)


@pytest.mark.parametrize("name", ["a\\b", "C:x", "x.png:stream", "x.", "x ", "x.png::$DATA"])
def test_windows_has_more_names_that_mean_something_else(name: str) -> None:
    """There, these are another file, or another way to write one."""
    assert is_plain_name(name, windows=False)
    assert not is_plain_name(name, windows=True)


@pytest.mark.parametrize("name", ["x.png", ".hidden", "a b (1).png", "ü [x].png", "…", "a..b"])
def test_ordinary_names_are_plain(name: str) -> None:
    """People give their files all kinds of names."""
    assert is_plain_name(name, windows=False)
    assert is_plain_name(name, windows=True)


def test_a_name_is_compared_as_the_most_forgiving_file_system_would() -> None:
    """Windows and macOS do not look at capitals; Windows drops dots and spaces at the end, and knows streams."""
    assert {plainly(name) for name in ("genonaut", "GenoNaut", "genonaut. .", "genonaut::$INDEX_ALLOCATION")} == {
        "genonaut"
    }
