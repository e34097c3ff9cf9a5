"""
Where Genonaut's things lie on disk, and when a thing in the cache is whole.

    <cache>/environments/<name>-<key>   Python environments, shared by all checkouts that want the same packages
    <cache>/tools/                      programs that were fetched because they were not there: uv, Node.js, TypeScript
    <cache>/real/                       what the demo and the tests fetch or make: a real ComfyUI, a small checkpoint

Only the standard library: `install.py` imports this with whatever Python it was started, the pack with ComfyUI's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MARKER_FILE = "whole.json"
LOCK_RETRY_S = 0.1
KEY_DIGITS = 16


class SetupFailed(Exception):
    """The set-up cannot go on. The message is one sentence for people, with the next step."""


def cache_folder() -> Path:
    """What can be fetched or made again: `GENONAUT_CACHE`, else the user's cache folder of the operating system."""
    chosen = os.environ.get("GENONAUT_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "genonaut" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "genonaut"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genonaut"


def data_folders(pack_folder: Path) -> list[Path]:
    """Where generations and images may lie, as far as can be known without ComfyUI; not all of them need exist."""
    chosen = os.environ.get("GENONAUT_DATA")
    inside_comfyui = pack_folder.parent.parent / "user" / "__genonaut"
    return [*([Path(chosen).expanduser().absolute()] if chosen else []), inside_comfyui, personal_data_folder()]


def personal_data_folder() -> Path:
    """The place that the operating system has for a person's application data: used where no ComfyUI says another."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "genonaut" / "data"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "genonaut"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "genonaut"


def environment_folder(name: str, wanted: bytes) -> Path:
    """The environment of that name which holds exactly the packages that `wanted` (a lock file's content) describes."""
    key = hashlib.sha256(wanted).hexdigest()[:KEY_DIGITS]
    return cache_folder() / "environments" / f"{name}-{key}"


def sidecar_lock_file(pack_folder: Path) -> Path:
    return pack_folder / "sidecar" / "requirements.lock"


def sidecar_environment(pack_folder: Path) -> Path:
    """The environment for the sidecar of this pack, whether it was made already or not."""
    lock_file = sidecar_lock_file(pack_folder)
    wanted = lock_file.read_bytes() if lock_file.exists() else pack_version(pack_folder).encode()
    return environment_folder("sidecar", wanted)


def pack_version(pack_folder: Path) -> str:
    """The version in the pack's `pyproject.toml`; Python 3.10 has no TOML reader yet."""
    text = (pack_folder / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SetupFailed(f"{pack_folder / 'pyproject.toml'} names no version; fetch the pack again.")
    return found[1]


def sidecar_command(pack_folder: Path, *arguments: str) -> list[str] | None:
    """
    The command that runs a module of this pack's sidecar, `sidecar_command(pack, "sidecar.cli", "serve")`.

    None where `install.py` has not made the environment yet.
    """
    facts = read_marker(sidecar_environment(pack_folder))
    return None if facts is None else command_in(facts, pack_folder, *arguments)


def command_in(facts: Mapping[str, Any], pack_folder: Path, *arguments: str) -> list[str]:
    """The same for an environment that is not whole yet, from the facts its marker will hold."""
    start = pack_folder / "comfy_nodes" / "start_sidecar.py"
    return [facts["python"], "-s", str(start), facts["packages"], *arguments]


def read_marker(folder: Path) -> dict[str, Any] | None:
    """What was written down when the folder was finished; None where it is not whole or its Python is gone."""
    try:
        facts: dict[str, Any] = json.loads((folder / MARKER_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    python = facts.get("python")
    return facts if python is None or Path(python).exists() else None


def make_once(folder: Path, build: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """
    Have `build` fill the folder, unless it is whole already, and return what `build` said about it.

    One process builds at a time; the others wait and find it done. The marker comes last, so a folder left behind
    by a build that died has none, and is made anew. (Environments cannot be built elsewhere and moved: they hold
    their own path.)
    """
    facts = read_marker(folder)
    if facts is not None:
        return facts
    folder.parent.mkdir(parents=True, exist_ok=True)
    with held_lock(folder.with_name(folder.name + ".lock")):
        facts = read_marker(folder)
        if facts is None:
            facts = build_afresh(folder, build)
    return facts


def build_afresh(folder: Path, build: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    try:
        empty(folder)
        facts = dict(build(folder))
        unfinished = folder / f"{MARKER_FILE}.new"
        unfinished.write_text(json.dumps(facts), encoding="utf-8")
        unfinished.replace(folder / MARKER_FILE)
    except BaseException:
        # Half of it is of no use to anybody, and after a full disk its space is what the person needs next.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return facts


def empty(folder: Path) -> None:
    """The folder exists and nothing is in it."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


@contextmanager
def held_lock(file: Path) -> Iterator[None]:
    """Hold the file's lock. The operating system lets go of it when the process ends, however it ends."""
    with file.open("a+b") as handle:
        while not try_to_lock(handle.fileno()):
            time.sleep(LOCK_RETRY_S)
        yield  # closing the file lets go of the lock


if sys.platform == "win32":
    import msvcrt

    def try_to_lock(descriptor: int) -> bool:
        """Lock a file for this process; False where another has it. OSError: this disk knows no locks."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:  # EACCES is the C library's word for a file that is locked
            return False
        return True

else:
    import fcntl

    def try_to_lock(descriptor: int) -> bool:
        """Lock a file for this process; False where another has it. OSError: this disk knows no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
