"""Files for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from sidecar.quota.export import ROWS_IN_A_PIECE, written


async def pieces_of(*rows: Sequence[Any]) -> list[bytes]:
    async def each() -> AsyncIterator[Sequence[Any]]:
        for row in rows:
            yield row

    return [piece async for piece in written(("name", "count"), each())]


async def test_lines_and_quotes_are_those_of_the_standard():
    """RFC 4180: CRLF, and quotes around what holds a comma, a quote or a new line."""
    content = b"".join(await pieces_of(('Zoë "Z", the\nelder', 3)))

    assert content == 'name,count\r\n"Zoë ""Z"", the\nelder",3\r\n'.encode()


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
async def test_a_name_is_no_formula(name: str):
    """People choose their names, and administrators open the file."""
    content = b"".join(await pieces_of((name, -3)))
    [_head, [told, number]] = csv.reader(io.StringIO(content.decode(), newline=""))

    assert (told, number) == (f"'{name}", "-3")


async def test_a_long_file_comes_in_pieces():
    """However many there are, only some of them are held at once; nothing is left out."""
    pieces = await pieces_of(*(("x", number) for number in range(2 * ROWS_IN_A_PIECE)))

    assert len(pieces) == 3
    assert len(b"".join(pieces).splitlines()) == 2 * ROWS_IN_A_PIECE + 1
