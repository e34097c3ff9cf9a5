"""Reading and writing, with several at once."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from integration.backends import both_databases, only_embedded
from psycopg import AsyncConnection
from sqlalchemy import text

import sidecar.database
from sidecar.database import Database
from sidecar.errors import DatabaseBusy, DatabaseUnavailable

from .conftest import END_OTHERS

pytestmark = both_databases


@pytest.fixture
async def counter(database: Database):
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE IF NOT EXISTS counter (value INTEGER NOT NULL)"))
        await session.execute(text("INSERT INTO counter VALUES (0)"))
    return database


async def value_of(database: Database) -> int:
    async with database.reading() as session:
        return int((await session.execute(text("SELECT value FROM counter"))).scalar_one())


async def test_what_a_write_has_read_stays_true_until_it_commits(counter: Database, database_url: str):
    """A hundred at once read, add one and write, half of them elsewhere: none is lost, none fails on a lock."""
    elsewhere = Database(database_url)

    async def add_one(database: Database) -> None:
        async with database.writing() as session:
            value = (await session.execute(text("SELECT value FROM counter"))).scalar_one()
            await session.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})

    await asyncio.gather(*(add_one(database) for database in [counter, elsewhere] * 50))
    await elsewhere.close()

    assert await value_of(counter) == 100


async def test_a_write_that_raises_leaves_nothing_behind(counter: Database):
    """One transaction or none."""

    async def change_and_fail() -> None:
        async with counter.writing() as session:
            await session.execute(text("UPDATE counter SET value = 7"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_and_fail()

    assert await value_of(counter) == 0


async def test_a_read_does_not_wait_for_a_write(counter: Database):
    """The panel stays quick while something is being recorded."""
    async with counter.writing() as session:
        await session.execute(text("UPDATE counter SET value = 7"))

        assert await asyncio.wait_for(value_of(counter), 10) == 0


async def test_a_read_sees_one_moment(counter: Database):
    """What is written between two looks of one read is not seen by the second: pages fit together."""
    async with counter.reading() as session:
        first = (await session.execute(text("SELECT value FROM counter"))).scalar_one()
        async with counter.writing() as writing:
            await writing.execute(text("UPDATE counter SET value = 7"))
        second = (await session.execute(text("SELECT value FROM counter"))).scalar_one()

    assert (first, second) == (0, 0)


async def test_closing_waits_for_whoever_is_still_at_it(database_url: str):
    """What they give back afterwards would be closed by nobody, and on a server stay open."""
    database = Database(database_url)
    connected, go_on = asyncio.Event(), asyncio.Event()

    async def read() -> int:
        async with database.reading() as session:
            await session.execute(text("SELECT 1"))
            connected.set()
            await go_on.wait()
            return int((await session.execute(text("SELECT 2"))).scalar_one())

    reading = asyncio.create_task(read())
    await connected.wait()
    closing_it = asyncio.create_task(database.close())
    await asyncio.sleep(0.05)
    go_on.set()
    await closing_it

    assert reading.done()
    assert await reading == 2


async def test_a_database_that_is_away_says_so():
    """One error of ours for whatever the driver says, so that nobody takes an outage for a mistake."""
    away = Database("postgresql://somebody@127.0.0.1:9/nothing")

    with pytest.raises(DatabaseUnavailable):
        await value_of(away)
    with pytest.raises(DatabaseUnavailable):
        async with away.writing():
            pass

    await away.close()


async def test_whoever_waits_too_long_to_write_is_told_to_try_again(database_url: str, monkeypatch: pytest.MonkeyPatch):
    """Another process holds the lock: nobody waits for ever, nor once for each of those ahead in the line."""
    holder = Database(database_url)
    monkeypatch.setattr(sidecar.database, "LOCKS_WAITED_FOR_S", 0.2)
    database = Database(database_url)

    async def write() -> float:
        began = time.monotonic()
        with pytest.raises(DatabaseBusy) as refused:
            async with database.writing() as session:
                await session.execute(text("UPDATE counters SET value = 7"))
        assert refused.value.retry_after_s
        return time.monotonic() - began

    async with holder.writing() as session:
        await session.execute(text("SELECT 1"))
        waited = await asyncio.gather(*(write() for _ in range(30)))
    async with database.writing() as session:  # now it is free
        await session.execute(text("UPDATE counters SET value = 7"))
    for each in (holder, database):
        await each.close()

    assert max(waited) < 4


async def test_a_server_that_closed_every_connection_costs_no_request(postgresql_database_url: str):
    """PostgreSQL was restarted, or an admin ended our sessions: the next request opens a new one."""
    database = Database(postgresql_database_url)
    async with database.reading() as session:
        await session.execute(text("SELECT 1"))
    async with await AsyncConnection.connect(postgresql_database_url) as admin:
        await admin.execute(END_OTHERS)

    async with database.reading() as session:
        answer = (await session.execute(text("SELECT 1"))).scalar_one()
    await database.close()

    assert answer == 1


@only_embedded("it is about SQLite's own settings")
async def test_the_database_waits_for_locks_and_checks_what_refers_to_what(migrated_file: Path):
    """WAL from the migrations, the rest for each connection."""
    database = Database(f"sqlite+aiosqlite:///{migrated_file.as_posix()}")
    async with database.reading() as session:
        pragmas = {
            name: (await session.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }
    await database.close()

    assert pragmas == {"journal_mode": "wal", "busy_timeout": 10_000, "foreign_keys": 1, "synchronous": 1}


@only_embedded("it is about SQLite's log")
async def test_a_read_that_is_over_holds_nothing_up(tmp_path: Path):
    """Nobody waits for its end, and it ends all the same: SQLite can tidy its log, which an open read would forbid."""
    database = Database(f"sqlite+aiosqlite:///{(tmp_path / 'ended.sqlite3').as_posix()}")
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE counter (value INTEGER NOT NULL)"))
    with closing(sqlite3.connect(tmp_path / "ended.sqlite3")) as elsewhere:
        elsewhere.execute("PRAGMA journal_mode=WAL")
        async with database.reading() as session:
            await session.execute(text("SELECT * FROM counter"))
        async with database.reading() as session:
            pass
        busy, *_ = elsewhere.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    await database.close()

    assert not busy
