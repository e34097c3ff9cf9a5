"""
What a text would lead to if it were the name of a file: for texts of which only a node knows what they are.

A node may take a text for a name in any of ComfyUI's folders, for one relative to where ComfyUI was started, or for an
absolute path; it may undo Windows' separators first, or replace a ``~``. So all of these are looked at. What is not
there leads nowhere, and most texts do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from enum import Enum

from .ownership import SHARED, OwnedFiles
from .places import KINDS, OWN_FOLDER, USER_ID, Name, Place, is_of_another_computer, plainly

SEPARATORS = re.compile(r"[/\\]")
LONGEST_NAME = 255  # of bytes or UTF-16 units, on every file system
SOMEBODYS_HOME = re.compile(r"~[\w.-]*[/\\]")  # whether there is such a user or not
LONGEST_PATH = 32_767 if os.name == "nt" else 4096


class Leads(Enum):
    """Where a text leads to."""

    NOWHERE = "nowhere"  #: or to something that its owner may use
    SOMEBODY_ELSE = "somebody else"  #: another person's file or folder, whether it is there or not
    OUT = "out"  #: out of ComfyUI's folders, whether it is there or not
    OUT_IN_VAIN = "out, in vain"  #: the same, below something at the very top that is not there: ``/imagine a cat``
    MISREAD = "misread"  #: ComfyUI reads it otherwise than it is written: ``name [temp] [output]``


class NamedFiles:
    """Looks at texts as if they were names of files. One a process."""

    def __init__(self, files: OwnedFiles) -> None:
        self._files = files

    def follow(self, text: str, owner_id: str) -> Leads | Place:
        """
        Find out where a text leads to.

        Returns:
            A place, if it leads to a file there of which it must be asked whether it is this owner's.
        """
        if names_somebody_else(text, owner_id) or names_somebody_else(os.path.normpath(text), owner_id):
            return Leads.SOMEBODY_ELSE
        read = self._files.folders.read(text, "input")
        if read is None:
            return Leads.MISREAD
        name, annotation = read
        for path in spellings(name.path):
            found = self._follow_path(path, (name.kind,) if annotation else KINDS, owner_id)
            if found is not Leads.NOWHERE:
                return found
        return Leads.NOWHERE

    def open_question(self, text: str, owner_id: str) -> Leads | Place:
        """
        Look at what is certainly the name of a file, and leads nowhere.

        What is not there and what is somebody else's get the same answer, so both are asked about.
        """
        read = self._files.folders.read(text, "input")
        if read is None:
            return Leads.MISREAD
        name, annotation = read
        if plainly(os.path.normpath(name.path.replace("\\", "/"))) == OWN_FOLDER:
            return Leads.SOMEBODY_ELSE
        place = self._files.folders.place_of(name) if annotation and name.kind != "input" else None
        return place if place and self._files.owner_at_sight(place) != owner_id else Leads.NOWHERE

    def own_name(self, text: str, owner_id: str) -> tuple[Name, str] | None:
        """Give the owner's own file of that name, with the annotation that belongs to it; None if there is none."""
        read = self._files.folders.read(text, "input")
        own = self._files.folders.own(read[0], owner_id) if read else None
        return (own, read[1]) if own and read else None

    def _follow_path(self, path: str, kinds: tuple[str, ...], owner_id: str) -> Leads | Place:
        has_steps = "/" in path or os.sep in path
        if not path.strip("./\\ ") or (len(path) > LONGEST_NAME and not has_steps):
            return Leads.NOWHERE  # what texts are joined with; prose
        if is_of_another_computer(path) or path.lower().startswith("file:") or SOMEBODYS_HOME.match(path):
            return Leads.OUT
        path = os.path.expanduser(path)
        if len(path) > LONGEST_PATH:  # no system opens it, unless somebody tidies it up first
            path = os.path.normpath(path)
            if len(path) > LONGEST_PATH:
                return Leads.OUT_IN_VAIN if leads(path) else Leads.NOWHERE
        leads_out = False
        for folder in map(self._files.folders.of, kinds):
            found = self._follow_end(os.path.join(folder or "", path), path, owner_id)
            if found is Leads.OUT_IN_VAIN:
                leads_out = True
            elif found is not Leads.NOWHERE:
                return found
        # A single word may be the name of something beside ComfyUI's program, and still be a word.
        end = os.path.join(os.getcwd(), path) if has_steps else ""
        found = self._follow_end(end, path, owner_id, starts_outside=True) if end else Leads.NOWHERE
        return Leads.OUT_IN_VAIN if leads_out and found is Leads.NOWHERE else found

    def _follow_end(self, end: str, path: str, owner_id: str, *, starts_outside: bool = False) -> Leads | Place:
        is_there = exists(end)
        if not is_there and (starts_outside or not leads(path)):
            return Leads.NOWHERE
        place = self._files.folders.place_at(end)
        if place is not None:
            return self._follow_place(place, end, owner_id) if is_there else Leads.NOWHERE
        if self._files.folders.is_shared_elsewhere(end):
            return Leads.NOWHERE
        return Leads.OUT if is_there or begins_here(end) else Leads.OUT_IN_VAIN

    def _follow_place(self, place: Place, end: str, owner_id: str) -> Leads | Place:
        owner = self._files.owner_at_sight(place)
        if owner in (SHARED, owner_id):
            return Leads.NOWHERE
        if owner is not None:
            return Leads.SOMEBODY_ELSE
        # A word may be the name of a folder that lies there, and still be a word.
        return place if os.path.isfile(end) or len(place.parts) > 1 else Leads.NOWHERE


def spellings(path: str) -> tuple[str, ...]:
    """As it stands, and as nodes take it that were written with Windows in mind."""
    return (path, path.replace("\\", "/")) if "\\" in path and os.name != "nt" else (path,)


def leads(path: str) -> bool:
    """Does it lead elsewhere than down from the folder that it is relative to?"""
    return os.path.isabs(path) or ".." in path.replace("\\", "/").split("/")


def exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # a null byte
        return False


def begins_here(path: str) -> bool:
    """
    Is the first of its folders there, such as ``/home``?

    What lies further down is not looked for: what is refused would tell what there is on this computer.
    """
    try:
        drive, tail = os.path.splitdrive(os.path.abspath(path))
        first, *further = [step for step in tail.split(os.sep) if step] or [""]
        return bool(further) and os.path.isdir(f"{drive}{os.sep}{first}")
    except ValueError:  # a null byte
        return False


def names_somebody_else(text: str, user_id: str | None) -> bool:
    """Does this text, whatever it is relative to, name another person's folder?"""
    return any(owner != user_id for owner in owners_named(text))


def owners_named(text: str) -> Iterator[str]:
    """Give whose folders a text names, as steps of a path."""
    if OWN_FOLDER not in text.casefold():
        return
    steps = [plainly(step) for step in SEPARATORS.split(text) if step not in {"", "."}]
    for at, step in enumerate(steps[1:]):
        owner = USER_ID.match(step)
        if owner and steps[at] == OWN_FOLDER:
            yield owner[0]
