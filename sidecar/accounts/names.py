"""What people are called: as they write it, and as it is found however somebody else writes it."""

from __future__ import annotations

import unicodedata

from sidecar.accounts.models import NAME_CHARACTERS
from sidecar.errors import InvalidRequest

SEPARATOR = ":"  # between name and password in HTTP's Basic scheme (RFC 7617), where a name cannot hold it


def readable(name: str) -> str:
    """
    The name as it is shown.

    Raises:
        InvalidRequest: Nobody can be called that.
    """
    shown = unicodedata.normalize("NFC", " ".join(name.split()))
    if not shown or not shown.isprintable() or SEPARATOR in shown or not is_short(shown):
        raise InvalidRequest(
            f"A name has 1 to {NAME_CHARACTERS} letters, digits or signs, and no colon.",
            errors=({"field": "name", "code": "not_a_name", "message": "Nobody can be called that."},),
        )
    return shown


def is_short(shown: str) -> bool:
    return len(shown) <= NAME_CHARACTERS and len(comparable(shown)) <= 3 * NAME_CHARACTERS


def comparable(name: str) -> str:
    """Equal for names that look alike to whoever types one: in upper or lower case, in full width, in two ways of ä."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", " ".join(name.split())).casefold())
