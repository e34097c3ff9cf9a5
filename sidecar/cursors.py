"""Where a page of a list ended, as text that nobody need understand: the next page begins after it."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from sidecar.errors import InvalidRequest

Position = TypeVar("Position", bound=msgspec.Struct)


def encode_cursor(position: msgspec.Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode("ascii").rstrip("=")


def decode_cursor(cursor: str, kind: type[Position]) -> Position:
    """
    Raises:
        InvalidRequest: It is none that was given out for this list.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=kind)
    except (msgspec.DecodeError, binascii.Error, ValueError) as exc:
        raise InvalidRequest("This cursor is not one of ours. Begin again without a cursor.") from exc
