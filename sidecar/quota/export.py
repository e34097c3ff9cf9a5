"""
Rows as a file for spreadsheets: CSV as RFC 4180 has it, in UTF-8, row by row.

Spreadsheets take a text that begins like a formula for one, and people choose their names themselves; so such a text
begins with an apostrophe here, which spreadsheets take as "this is text" and do not show.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""As OWASP lists them ("CSV Injection"); the last four are the first four in full width."""
ROWS_IN_A_PIECE = 200


async def written(head: Sequence[str], rows: AsyncIterator[Sequence[Any]]) -> AsyncIterator[bytes]:
    """The file, in pieces."""
    piece: list[Sequence[Any]] = [head]
    async for row in rows:
        piece.append(row)
        if len(piece) == ROWS_IN_A_PIECE:
            yield encoded(piece)
            piece = []
    if piece:
        yield encoded(piece)


def encoded(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow([harmless(value) for value in row])
    return text.getvalue().encode("utf-8", "replace")  # half a character may stand in no file


def harmless(value: Any) -> Any:
    """Numbers stay numbers, also negative ones."""
    return f"'{value}" if isinstance(value, str) and value.startswith(BEGINS_A_FORMULA) else value
