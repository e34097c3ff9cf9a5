"""Ids: UUIDv7, so that they sort by the time at which they were made."""

from __future__ import annotations

from datetime import datetime, timezone
from uuid import NAMESPACE_URL, UUID, uuid5

import uuid_utils.compat

SECOND_VERSION = 8
VERSIONS_7_AND_8 = (7 ^ 8) << 76  # the bits in which the two differ


def uuid7() -> UUID:
    """A new id; later ones sort after earlier ones."""
    return uuid_utils.compat.uuid7()


def generation_id_of(prompt_id: str) -> UUID:
    """
    The generation that a ComfyUI prompt is.

    Our own prompt ids are generation ids, or made of one by `second_prompt_id`. Another pack may have chosen any text:
    it always becomes the same id.
    """
    try:
        found = UUID(prompt_id)
    except ValueError:
        return uuid5(NAMESPACE_URL, f"comfyui-prompt:{prompt_id}")
    return UUID(int=found.int ^ VERSIONS_7_AND_8) if found.version == SECOND_VERSION else found


def second_prompt_id(generation_id: UUID) -> str:
    """
    What a generation is called that runs a second time on purpose: a prompt that has ended never runs again.

    The same id as UUIDv8 (RFC 9562, section 5.8: for whatever somebody needs), so that nobody has to remember it.
    """
    return str(UUID(int=generation_id.int ^ VERSIONS_7_AND_8))


def now() -> datetime:
    return datetime.now(timezone.utc)
