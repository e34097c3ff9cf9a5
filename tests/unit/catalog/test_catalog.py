"""What is known of models, held in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sidecar.catalog import catalog
from sidecar.catalog.catalog import Catalog
from sidecar.catalog.snapshot import Snapshot


class FirstReadingIsSlow:
    """A database whose first reader is answered long after the second one."""

    def __init__(self) -> None:
        self.readings = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[int]:
        self.readings += 1
        yield self.readings


async def read_slowly(reading: Any) -> Snapshot:
    for _ in range(10 if reading == 1 else 1):
        await asyncio.sleep(0)
    return Snapshot((reading, 1), [], [])


async def test_what_was_read_first_is_not_taken_for_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two instances are listed at once, and each reads everything anew when it is written down."""
    monkeypatch.setattr(catalog, "read_snapshot", read_slowly)
    known = Catalog(FirstReadingIsSlow())  # type: ignore[arg-type] # all that is used of it
    await asyncio.gather(known.load(), known.load())

    assert known.snapshot.version == (2, 1)
