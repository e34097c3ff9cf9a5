"""The stand-in for ComfyUI's folders reads names as ComfyUI itself does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fakes.comfyui_files import FolderPaths
from real.comfyui import fetch_comfyui

NAMES = [
    "a.png",
    "a.png [input]",
    "a.png[input]",
    "a.png [output]",
    "b/a.png [temp]",
    "[output]",
    " [output]",
    "a.png [temp] [output]",
    "../a.png",
    "/a.png",
    "a.png [Output]",
    "a.png [output] ",
]
PREFIXES = ["ComfyUI", "a/b", "a/../b", "a/", "", "../a", "/a", "genonaut/x/2026-01-01/y"]

IN_COMFYUI = """
import json, sys
sys.path.insert(0, sys.argv[1])
import folder_paths
for kind in ("input", "output", "temp"):
    getattr(folder_paths, f"set_{kind}_directory")(f"{sys.argv[2]}/{kind}")
exec(sys.argv[3])
print(json.dumps(look(folder_paths)))
"""
LOOK = f"""
def look(folder_paths):
    found = {{}}
    for name in {NAMES!r}:
        found[name] = [*folder_paths.annotated_filepath(name), folder_paths.get_annotated_filepath(name),
                       folder_paths.exists_annotated_filepath(name)]
    for prefix in {PREFIXES!r}:
        try:
            output = folder_paths.get_directory_by_type("output")
            found["save " + prefix] = folder_paths.get_save_image_path(prefix, output)
        except Exception:
            found["save " + prefix] = "refused"
    for kind in ("input", "output", "temp", "user", "", "INPUT"):
        found["kind " + kind] = folder_paths.get_directory_by_type(kind)
    return found
"""


def look_in_comfyui(base: Path) -> Any:
    program = fetch_comfyui()
    command = [str(program.python), "-c", IN_COMFYUI, str(program.folder), str(base), LOOK]
    # Without its environment, which would have torch imported: this module of ComfyUI needs nothing.
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(ended.stdout.splitlines()[-1])


def look_at_twin(base: Path) -> Any:
    known: dict[str, Any] = {}
    exec(LOOK, known)  # the very same words as in ComfyUI
    return json.loads(json.dumps(known["look"](FolderPaths(base))))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for file in ("input/a.png", "output/a.png", "temp/b/a.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return tmp_path


def test_the_stand_in_reads_names_as_comfyui_does(base: Path) -> None:
    """Everything that is said of files elsewhere rests on this."""
    assert look_at_twin(base) == look_in_comfyui(base)
