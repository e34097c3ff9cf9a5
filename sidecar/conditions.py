"""What a browser says it has already, and which part it wants (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

ONE_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.IGNORECASE)
DIGITS_AT_MOST = 18  # more cannot be an offset; int() takes quadratic time for thousands of them


class ByteRange(Struct, frozen=True):
    """From `start` up to and without `end`."""

    start: int
    end: int


class UnsatisfiableRange(Exception):
    """No byte of the content lies in the range that is asked for."""


def is_known(headers: Mapping[str, str], etag: str) -> bool:
    """Has the browser these very bytes already? `etag` stands in its quotes."""
    known = headers.get("if-none-match")
    if known is None:
        return False
    return any(candidate.strip().removeprefix("W/") in {etag, "*"} for candidate in known.split(","))


def wanted_range(headers: Mapping[str, str], etag: str, size: int) -> ByteRange | None:
    """
    The part that is asked for; None means all of it, which may always be sent: for several ranges at once, for what
    is no range, and where the browser's other parts are of something else (`If-Range`).

    Raises:
        UnsatisfiableRange: The part lies outside.
    """
    match = ONE_RANGE.fullmatch(headers.get("range", "").strip())
    if match is None or headers.get("if-range", etag).strip() != etag:
        return None
    first, last = match.groups()
    if not (first or last) or max(len(first), len(last)) > DIGITS_AT_MOST:
        return None
    return last_bytes(int(last), size) if not first else from_first(int(first), last, size)


def last_bytes(count: int, size: int) -> ByteRange:
    if count == 0 or size == 0:
        raise UnsatisfiableRange
    return ByteRange(max(0, size - count), size)


def from_first(start: int, last: str, size: int) -> ByteRange | None:
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableRange
    return ByteRange(start, min(int(last) + 1, size) if last else size)
