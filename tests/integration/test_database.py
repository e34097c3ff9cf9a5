"""Reading and writing on SQLite, with several at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from sidecar.database import Database
from sidecar.migrations import upgrade


@pytest.fixture
async def database(tmp_path: Path):
    database = Database(f"sqlite+aiosqlite:///{(tmp_path / 'test.sqlite3').as_posix()}")
    await upgrade(database.engine)
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE counter (value INTEGER NOT NULL)"))
        await session.execute(text("INSERT INTO counter VALUES (0)"))
    yield database
    await database.close()


async def value_of(database: Database) -> int:
    async with database.reading() as session:
        return int((await session.execute(text("SELECT value FROM counter"))).scalar_one())


async def test_what_a_write_has_read_stays_true_until_it_commits(database: Database):
    """A hundred at once read, add one and write: none is lost, none fails because the database is locked."""

    async def add_one() -> None:
        async with database.writing() as session:
            value = (await session.execute(text("SELECT value FROM counter"))).scalar_one()
            await session.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})

    await asyncio.gather(*(add_one() for _ in range(100)))

    assert await value_of(database) == 100


async def test_a_write_that_raises_leaves_nothing_behind(database: Database):
    """One transaction or none."""

    async def change_and_fail() -> None:
        async with database.writing() as session:
            await session.execute(text("UPDATE counter SET value = 7"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_and_fail()

    assert await value_of(database) == 0


async def test_a_read_does_not_wait_for_a_write(database: Database):
    """The panel stays quick while something is being recorded."""
    async with database.writing() as session:
        await session.execute(text("UPDATE counter SET value = 7"))

        assert await asyncio.wait_for(value_of(database), 1) == 0


async def test_the_database_waits_for_locks_and_checks_what_refers_to_what(database: Database):
    """WAL from the migrations, the rest for each connection."""
    async with database.reading() as session:
        pragmas = {
            name: (await session.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }

    assert pragmas == {"journal_mode": "wal", "busy_timeout": 10_000, "foreign_keys": 1, "synchronous": 1}
