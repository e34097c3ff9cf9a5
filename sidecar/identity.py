"""Ids: UUIDv7, so that they sort by the time at which they were made."""

from __future__ import annotations

from datetime import datetime, timezone
from uuid import NAMESPACE_URL, UUID, uuid5

import uuid_utils.compat

FIRST_VERSION, LAST_VERSION = 7, 15
VERSION_AT = 76  # the lowest of its four bits

RUNS_AT_MOST = LAST_VERSION - FIRST_VERSION + 1


def uuid7() -> UUID:
    """A new id; later ones sort after earlier ones."""
    return uuid_utils.compat.uuid7()


def generation_id_of(prompt_id: str) -> UUID:
    """
    The generation that a ComfyUI prompt is.

    Our own prompt ids are generation ids, or made of one by `prompt_id_of_run`. Another pack may have chosen any text:
    it always becomes the same id.
    """
    try:
        found = UUID(prompt_id)
    except ValueError:
        return uuid5(NAMESPACE_URL, f"comfyui-prompt:{prompt_id}")
    run = (found.version or 0) - FIRST_VERSION + 1
    return with_version(found, FIRST_VERSION) if 1 < run <= RUNS_AT_MOST else found


def prompt_id_of_run(generation_id: UUID, run: int) -> str:
    """
    What a generation is called that runs again on purpose: a prompt that has ended never runs again.

    The same id with the next version (RFC 9562, section 5.8, has UUIDv8 for whatever somebody needs, and none above it
    is taken), so that nobody has to remember it.
    """
    version = min(FIRST_VERSION + run - 1, LAST_VERSION)
    return str(generation_id if run == 1 else with_version(generation_id, version))


def with_version(found: UUID, version: int) -> UUID:
    return UUID(int=found.int & ~(0xF << VERSION_AT) | version << VERSION_AT)


def now() -> datetime:
    return datetime.now(timezone.utc)


def lowest_at(at: datetime) -> UUID:
    """No id that is made from this moment on sorts before it, as far as the clocks of all processes agree."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
