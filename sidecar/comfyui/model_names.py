"""What a name of a model, a sampler or a scheduler looks like, as ComfyUI lists it."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_CHARACTERS = 400
DRIVE = re.compile(r"[A-Za-z]:")
CONTROL_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, half characters, ends of lines


def comparable(name: str) -> str:
    """One model has one name, also where a ComfyUI on Windows has backslashes in it."""
    return name.replace("\\", "/")


def leads_elsewhere(name: str) -> bool:
    """
    A name is a way down from one of ComfyUI's folders: no step of it goes up, stays, or begins somewhere else.

    Windows drops dots and blanks at the end of a step, so one of nothing else is no step either.
    """
    return DRIVE.match(name) is not None or any(not step.strip(" .") for step in comparable(name).split("/"))


def has_control_characters(name: str) -> bool:
    return any(unicodedata.category(character) in CONTROL_CATEGORIES for character in name)
