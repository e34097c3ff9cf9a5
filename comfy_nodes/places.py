"""
Where ComfyUI's files are: which place a name means, as ComfyUI itself would open it.

    a name somebody wrote (Name) -> a place in one of ComfyUI's three folders (Place)

The place is where the file really lies: links are followed, and so is whatever else the file system lets somebody
write for the same file. It need not be there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWN_FOLDER = "genonaut"
"""Below each of ComfyUI's folders: what lies in it belongs to somebody, by the name of the folder therein."""

USER_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ANNOTATION = re.compile(r"\[(input|output|temp)\]$")
KINDS = ("input", "output", "temp")
MOST_LISTED = 1000
MOST_LOOKED_AT = 20_000


@dataclass(frozen=True)
class Place:
    """A file in one of ComfyUI's folders, by its real path; it need not exist."""

    kind: str
    """``input``, ``output`` or ``temp``."""

    parts: tuple[str, ...]
    """The way from that folder to the file."""

    @property
    def owner_by_folder(self) -> str | None:
        """Whose folder it lies in; None where it lies in nobody's."""
        if len(self.parts) < 2 or plainly(self.parts[0]) != OWN_FOLDER:
            return None
        owner = plainly(self.parts[1])
        return owner if USER_ID.fullmatch(owner) else None

    @property
    def is_among_peoples_folders(self) -> bool:
        return bool(self.parts) and plainly(self.parts[0]) == OWN_FOLDER

    @property
    def key(self) -> str:
        return f"{self.kind}/{os.path.normcase('/'.join(self.parts))}"


def plainly(name: str) -> str:
    """Undo what file systems do not look at: capitals, and on Windows dots and spaces at the end, and streams."""
    return name.casefold().partition(":")[0].rstrip(". ")


@dataclass(frozen=True)
class Name:
    """A file as somebody names it in ComfyUI's way: relative to one of its folders."""

    kind: str
    path: str
    """Sub-folder and file name, with / or the operating system's own separator; nothing is known of it yet."""

    def as_view(self) -> dict[str, str]:
        """The query by which ``/view`` shows it."""
        folder, _, filename = self.path.replace(os.sep, "/").rpartition("/")
        return {"filename": filename, "subfolder": folder, "type": self.kind}

    def as_input(self, annotation: str = "") -> str:
        """The text by which a node loads it."""
        return self.path.replace(os.sep, "/") + annotation


class Folders:
    """
    ComfyUI's three folders; asked for each time, since other packs move them.

    Args:
        shared: Folders anywhere else on this computer that everybody's workflows may use.
    """

    def __init__(self, folder_paths: Any, shared: Iterable[Path] = ()) -> None:
        self._folder_paths = folder_paths
        self._shared = [os.path.realpath(folder) for folder in shared]
        self._real: dict[str, str] = {}

    def of(self, kind: str) -> str | None:
        """The folder of a type, as ComfyUI has it."""
        return self._folder_paths.get_directory_by_type(kind) if kind in KINDS else None

    def read(self, text: str, default_kind: str) -> tuple[Name, str] | None:
        """
        Take ``name [output]`` apart, as ComfyUI does.

        Returns:
            The name, and the annotation as it stood there; None where ComfyUI itself would read something else out of
            what is left.
        """
        path, folder = self._folder_paths.annotated_filepath(text)
        if folder is None:
            return Name(default_kind, path), ""
        kind = next((kind for kind in KINDS if self.of(kind) == folder), None)
        if kind is None or ANNOTATION.search(path):
            return None
        return Name(kind, path), text[len(path) :]

    def place_of(self, name: Name) -> Place | None:
        """Find where a file really lies; None: in none of the three folders, or it cannot be a file at all."""
        folder = self.of(name.kind)
        if folder is None or is_of_another_computer(name.path):
            return None
        return self.place_at(os.path.join(folder, name.path))

    def place_at(self, path: str) -> Place | None:
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):  # half a link, a null byte
            return None
        found = None
        for kind in KINDS:
            folder = self._real_folder(kind)
            if is_inside(real, folder) and (found is None or len(folder) > len(found[1])):
                found = kind, folder
        if found is None:
            return None
        return Place(found[0], Path(real[len(found[1]) :].lstrip("/\\")).parts)

    def is_shared_elsewhere(self, path: str) -> bool:
        """Does it lie in one of the folders outside of ComfyUI's that were named as shared?"""
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):
            return False
        return any(is_inside(real, folder) for folder in self._shared)

    def own(self, name: Name, user_id: str) -> Name | None:
        """Give this person's own file of that name; None where they have none."""
        folder, path = self.of(name.kind), os.path.normpath(name.path or ".")
        if folder is None or not is_user_id(user_id) or not is_plain_path(path):
            return None
        own = Name(name.kind, os.path.join(OWN_FOLDER, user_id, path))
        if not os.path.isfile(os.path.join(folder, own.path)):
            return None
        place = self.place_of(own)
        return own if place is not None and place.owner_by_folder == user_id else None

    def list_own(self, kind: str, user_id: str) -> list[str]:
        """List this person's files there, newest first, as names from ComfyUI's folder on; the first of very many."""
        top = self.of(kind)
        if top is None or not is_user_id(user_id):
            return []
        found: list[tuple[float, str]] = []
        looked_at = 0
        for folder, subfolders, files in os.walk(os.path.join(top, OWN_FOLDER, user_id)):
            # Outputs lie in a folder for each day: the newest first, so that the oldest are those left out.
            subfolders[:] = sorted((name for name in subfolders if not name.startswith(".")), reverse=True)
            for file in files:
                path = os.path.join(folder, file)
                try:
                    found.append((os.stat(path).st_mtime, os.path.relpath(path, top).replace(os.sep, "/")))
                except OSError:
                    continue  # gone a moment ago
            looked_at += len(files)
            if looked_at > MOST_LOOKED_AT:
                break
        return [name for _, name in sorted(found, reverse=True)[:MOST_LISTED]]

    def _real_folder(self, kind: str) -> str:
        folder = self.of(kind) or ""
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return self._real[folder]


def is_inside(path: str, folder: str) -> bool:
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def is_of_another_computer(path: str) -> bool:
    """Would Windows ask another computer for it? That alone tells the other one who is logged in here."""
    return os.name == "nt" and path.replace("\\", "/").startswith("//")


def is_plain_path(path: str, *, windows: bool = os.name == "nt") -> bool:
    """Does this lead down from a folder, step by step, by names that mean what they say on every file system?"""
    steps = path.replace("\\", "/").split("/") if windows else path.split("/")
    return all(is_plain_name(step, windows=windows) for step in steps)


def is_plain_name(name: str, *, windows: bool = os.name == "nt") -> bool:
    if name in {"", ".", ".."} or "/" in name or CONTROL.search(name):
        return False
    return not windows or not ("\\" in name or ":" in name or name.endswith((".", " ")))


def is_user_id(text: str) -> bool:
    return USER_ID.fullmatch(text) is not None
