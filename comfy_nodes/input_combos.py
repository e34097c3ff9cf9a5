"""
The lists of files among ComfyUI's description of its nodes, as one person may see them.

The description has some MB, and is the same for everybody but for a few lists. So it is taken apart once, as long as
ComfyUI tells the same, and only nodes with such lists are written anew for each person.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .named_files import names_somebody_else
from .places import OWN_FOLDER

MEDIA_OF = {"image_upload": "image", "video_upload": "video", "audio_upload": "audio"}
"""What kind of files an input takes that files can be uploaded for (frontend, extensions/core/upload*.ts)."""


@dataclass(frozen=True)
class Piece:
    """One node of the description: as it is written for everybody, or what has to be looked at for each person."""

    name: bytes
    written: bytes
    told: dict[str, Any] | None


class InputCombos:
    """Writes the description for one person. One a process, on ComfyUI's event loop."""

    def __init__(self) -> None:
        self._digest = b""
        self._pieces: list[Piece] = []

    def written_for(self, description: bytes, user_id: str, own_files: list[str], *, keep: bool) -> bytes:
        """
        Write ComfyUI's description of its nodes as this person may see it.

        Args:
            own_files: Their files among the inputs, by the names under which nodes load them.
            keep: It is that of all nodes, and will be asked for again.
        """
        pieces = self._taken_apart(description) if keep else take_apart(description)
        return b"{" + b", ".join(write(piece, user_id, own_files) for piece in pieces) + b"}"

    def _taken_apart(self, description: bytes) -> list[Piece]:
        digest = hashlib.sha256(description).digest()
        if digest != self._digest:
            self._pieces, self._digest = take_apart(description), digest
        return self._pieces


def take_apart(description: bytes) -> list[Piece]:
    return [piece_of(name, node) for name, node in json.loads(description).items()]


def piece_of(name: str, node: Any) -> Piece:
    written = json.dumps(node)
    depends = OWN_FOLDER in written.casefold() or any(media_of(more) is not None for _, more in combos_of(node))
    return Piece(json.dumps(name).encode(), written.encode(), node if depends else None)


def write(piece: Piece, user_id: str, own_files: list[str]) -> bytes:
    if piece.told is None:
        return piece.name + b": " + piece.written
    node = json.loads(piece.written)
    for options, more in combos_of(node):
        options[:] = [option for option in options if may_choose(option, user_id)]
        if not may_choose(more.get("default"), user_id):
            del more["default"]
        media = media_of(more)
        if media is not None:
            options.extend(file for file in own_files if file not in options and is_of(media, file))
    return piece.name + b": " + json.dumps(node).encode()


def combos_of(node: Any) -> list[tuple[list[Any], dict[str, Any]]]:
    """Give every list to choose from, with what else is said of that input; as it was in V1, and as V3 writes it."""
    found: list[tuple[list[Any], dict[str, Any]]] = []
    inputs = node.get("input") if isinstance(node, Mapping) else None
    for group in inputs.values() if isinstance(inputs, Mapping) else ():
        for spec in group.values() if isinstance(group, Mapping) else ():
            if not isinstance(spec, list) or not spec:
                continue
            more = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
            options = spec[0] if isinstance(spec[0], list) else more.get("options")
            if isinstance(options, list):
                found.append((options, more))
    return found


def media_of(more: Mapping[str, Any]) -> str | None:
    """Which of a person's inputs belong into this list? The empty text: what is neither picture, film nor sound."""
    if more.get("image_folder", "input") != "input":
        return None
    for key, value in more.items():
        if str(key).endswith("upload") and value:
            return MEDIA_OF.get(key, "")
    return None


def is_for_uploads(more: Mapping[str, Any]) -> bool:
    """Are these files that can be uploaded?"""
    return any(str(key).endswith("upload") and value for key, value in more.items())


def is_of(media: str, file: str) -> bool:
    guessed = (mimetypes.guess_type(file)[0] or "").partition("/")[0]
    return guessed == media if media else guessed not in MEDIA_OF.values()


def may_choose(option: Any, user_id: str) -> bool:
    if not isinstance(option, str) or OWN_FOLDER not in option.casefold():
        return True
    steps = option.replace("\\", "/").strip("/").casefold().split("/")
    if steps[0] != OWN_FOLDER:
        return not names_somebody_else(option, user_id)
    return len(steps) > 1 and steps[1] == user_id
