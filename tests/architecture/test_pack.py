"""What the pack may use, and where processes are started."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACK = Path(__file__).resolve().parents[2]
COMFYUI_SHIPS = {"PIL", "aiohttp", "multidict", "numpy", "torch", "yarl"}
COMFYUI = {"comfy", "comfy_api", "comfy_execution", "comfyui_version", "execution", "folder_paths", "nodes", "server"}
MAY_START_PROCESSES = {"install.py", "comfy_nodes/sidecar_process.py"}
WAYS_TO_START_PROCESSES = {
    "subprocess",
    "multiprocessing",
    "os.system",
    "os.popen",
    "os.fork",
    "os.posix_spawn",
    "os.startfile",
    "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell",
}


def sources(*folders: str) -> list[Path]:
    return [PACK / "__init__.py", *sorted(file for folder in folders for file in (PACK / folder).rglob("*.py"))]


def name_of(file: Path) -> str:
    return file.relative_to(PACK).as_posix()


def imported_by(file: Path) -> Iterator[str]:
    """The top-level modules that a file imports from outside its own package, wherever it does so."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def started_by(file: Path) -> Iterator[str]:
    """The ways to start a process that a file names."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    yield from (name for name in imported_by(file) if name in WAYS_TO_START_PROCESSES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            name = f"{node.value.id}.{node.attr}"
            if name in WAYS_TO_START_PROCESSES or name.startswith(("os.exec", "os.spawn")):
                yield name


@pytest.mark.parametrize("file", sources("comfy_nodes"), ids=name_of)
def test_the_pack_uses_only_what_comfyui_has_anyway(file: Path) -> None:
    """
    A package of the pack's own would meet the packages of ComfyUI and of every other pack.
    """
    foreign = set(imported_by(file)) - sys.stdlib_module_names - COMFYUI_SHIPS - COMFYUI - {"comfy_nodes"}

    assert not foreign


@pytest.mark.parametrize("file", sources("comfy_nodes", "sidecar"), ids=name_of)
def test_processes_are_started_in_two_places_only(file: Path) -> None:
    """
    Starting programs is what a pack must be trusted with: whoever reviews it reads `install.py` and one module.
    """
    ways = set(started_by(file))

    assert not ways or name_of(file) in MAY_START_PROCESSES


def test_the_search_for_started_processes_finds_them() -> None:
    """
    The rule above is worth something only while it sees what it forbids.
    """
    assert set(started_by(PACK / "comfy_nodes" / "sidecar_process.py")) == {"subprocess"}
