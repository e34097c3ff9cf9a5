"""The one way to the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sidecar.database import Database
from sidecar.migrations import use_write_ahead_log
from sidecar.sqlite_connection import QuickConnection

WRITERS = 30
WORK_S = 0.002


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'database.sqlite3'}")
    await use_write_ahead_log(database.engine)
    yield database
    await database.close()


async def test_writers_are_served_in_the_order_in_which_they_came(database: Database) -> None:
    """
    Left to themselves they ask for SQLite's lock after pauses, and the unlucky ones wait for seconds.
    """
    served: list[int] = []

    async def write(number: int) -> None:
        async with database.writing() as session:
            await session.execute(text("SELECT 1"))
            served.append(number)
            await asyncio.sleep(WORK_S)

    await asyncio.gather(*(write(number) for number in range(WRITERS)))

    assert list(range(WRITERS)) == served


async def test_a_writer_that_fails_keeps_nobody_from_writing(database: Database) -> None:
    """
    What it wrote is undone, and the next one writes.
    """
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE notes (line TEXT)"))
    with pytest.raises(RuntimeError, match="halfway"):
        await write_half(database)
    async with database.writing() as session:
        await session.execute(text("INSERT INTO notes VALUES ('whole')"))

    async with database.reading() as session:
        assert list(await session.scalars(text("SELECT line FROM notes"))) == ["whole"]


async def write_half(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(text("INSERT INTO notes VALUES ('half')"))
        raise RuntimeError("halfway")


async def test_a_statement_is_one_way_to_the_thread_of_the_file(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Each way is a change of threads on both sides, and the writer's lock is held for all of them.
    """
    ways: list[Any] = []
    async with database.reading() as session:
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        assert isinstance(driver, QuickConnection)
        go = driver._execute

        async def go_and_count(*arguments: Any) -> Any:
            ways.append(arguments)
            return await go(*arguments)  # type: ignore[no-untyped-call] # aiosqlite says nothing of it

        monkeypatch.setattr(driver, "_execute", go_and_count)
        rows = await session.execute(text("SELECT 1 UNION SELECT 2"))

        assert [tuple(row) for row in rows] == [(1,), (2,)]
        assert len(ways) == 1
