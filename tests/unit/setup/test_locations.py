"""What lies in the cache is either whole or made anew."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from comfy_nodes import locations

PACK = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENONAUT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def nothing_more(_: Path) -> dict[str, Any]:
    return {}


def test_what_is_whole_is_not_built_again(cache: Path) -> None:
    """
    A folder with its marker is used as it is, with the facts of its marker.
    """
    locations.make_once(cache / "thing", lambda _: {"made_by": "the first"})

    facts = locations.make_once(cache / "thing", lambda _: {"made_by": "the second"})

    assert facts == {"made_by": "the first"}


def test_a_half_made_folder_is_made_anew(cache: Path) -> None:
    """
    Files without a marker are what a killed build left: they are removed before the next one.
    """
    (cache / "thing").mkdir(parents=True)
    (cache / "thing" / "half").write_text("half", encoding="utf-8")

    locations.make_once(cache / "thing", nothing_more)

    assert [entry.name for entry in (cache / "thing").iterdir()] == [locations.MARKER_FILE]


def test_a_build_that_fails_leaves_nothing(cache: Path) -> None:
    """
    Half an environment is of no use, and its space is needed after a full disk.
    """

    def fill_the_disk(folder: Path) -> dict[str, Any]:
        (folder / "large").write_text("large", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        locations.make_once(cache / "thing", fill_the_disk)

    assert not (cache / "thing").exists()


def test_an_environment_whose_python_is_gone_is_not_whole(cache: Path) -> None:
    """
    Somebody removed the Python that it was made with: it is made anew, not started.
    """
    (cache / "thing").mkdir(parents=True)
    marker = {"python": str(cache / "no such python"), "packages": ""}
    (cache / "thing" / locations.MARKER_FILE).write_text(json.dumps(marker), encoding="utf-8")

    facts = locations.make_once(cache / "thing", lambda _: {"python": sys.executable})

    assert facts == {"python": sys.executable}


def test_the_sidecar_is_started_with_the_python_of_its_environment() -> None:
    """
    The pack gets a whole command, or None where nothing was installed.
    """
    before = locations.sidecar_command(PACK, "sidecar.cli", "serve")
    locations.make_once(locations.sidecar_environment(PACK), lambda _: {"python": sys.executable, "packages": ""})
    after = locations.sidecar_command(PACK, "sidecar.cli", "serve")

    assert before is None
    assert after is not None
    assert after[0] == sys.executable
    assert after[-2:] == ["sidecar.cli", "serve"]


def test_another_lock_file_means_another_environment(tmp_path: Path) -> None:
    """
    Checkouts with the same lock file share an environment; one with another lock file does not disturb them.
    """
    packs = [tmp_path / name for name in ("first", "same", "other")]
    for pack, content in zip(packs, ("saq==1", "saq==1", "saq==2"), strict=True):
        (pack / "sidecar").mkdir(parents=True)
        (pack / "sidecar" / "requirements.lock").write_text(content, encoding="utf-8")

    first, same, other = (locations.sidecar_environment(pack) for pack in packs)

    assert first == same != other


def test_a_pack_without_the_sidecar_beside_it_asks_for_its_own_version(tmp_path: Path) -> None:
    """
    The pack of ComfyUI's registry brings no `sidecar/`: its version says which wheel belongs to it.
    """
    environments = []
    for version in ("1.0.0", "1.0.1"):
        (tmp_path / "pyproject.toml").write_text(
            f'[project]\nname = "genonaut"\nversion = "{version}"\n', encoding="utf-8"
        )
        environments.append(locations.sidecar_environment(tmp_path))

    assert environments[0] != environments[1]
