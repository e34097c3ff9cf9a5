"""Ids: UUIDv7, so that they sort by the time at which they were made."""

from __future__ import annotations

from datetime import datetime, timezone
from uuid import NAMESPACE_URL, UUID, uuid5

import uuid_utils.compat


def uuid7() -> UUID:
    """A new id; later ones sort after earlier ones."""
    return uuid_utils.compat.uuid7()


def generation_id_of(prompt_id: str) -> UUID:
    """
    The generation that a ComfyUI prompt is.

    Our own prompt ids are generation ids. Another pack may have chosen any text: it always becomes the same id.
    """
    try:
        return UUID(prompt_id)
    except ValueError:
        return uuid5(NAMESPACE_URL, f"comfyui-prompt:{prompt_id}")


def now() -> datetime:
    return datetime.now(timezone.utc)
