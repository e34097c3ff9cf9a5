"""A process that is alone leads from the beginning."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.cluster import leadership
from sidecar.cluster.leadership import Leadership
from sidecar.counters import Counter
from sidecar.database import Database, table_of
from sidecar.errors import DatabaseUnavailable


async def test_work_that_fails_is_begun_again(monkeypatch: pytest.MonkeyPatch):
    """The database was locked for a moment: that must not leave a sidecar that accepts everything and sends nothing."""
    monkeypatch.setattr(leadership, "AGAIN_AFTER_S", 0.0)
    begun = asyncio.Semaphore(0)
    database = Database("sqlite+aiosqlite://")
    async with database.engine.begin() as connection:
        await connection.run_sync(table_of(Counter).create)

    async def work() -> None:
        begun.release()
        raise DatabaseUnavailable

    leading = asyncio.create_task(Leadership(database).lead(work))
    for _ in range(2):
        await asyncio.wait_for(begun.acquire(), 30)
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading
