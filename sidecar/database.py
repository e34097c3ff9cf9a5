"""
One database, two ways in: `reading` and `writing`.

A write takes SQLite's writer lock at its beginning (`BEGIN IMMEDIATE`), so that what it read stays true until it
commits; on other databases it is an ordinary transaction. Who waits for that lock asks again after ever longer pauses,
and may see many others go first; so the writers of one process form a line before they ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

import msgspec
from advanced_alchemy.base import orm_registry
from advanced_alchemy.types import GUID, DateTimeUTC
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from sidecar.errors import SettingsUnusable
from sidecar.sqlite_connection import connector

WRITING = "genonaut_writing"
BUSY_TIMEOUT_MS = 10_000
JOURNAL_SIZE_LIMIT_BYTES = 64 * 1024**2

__all__ = ["GUID", "Base", "Database", "DateTimeUTC"]


class Base(DeclarativeBase):
    """The base of every table."""

    registry = orm_registry


class Database:
    """The one way to the tables. One a process; closed when the process stops."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = make_engine(url)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._line_of_writers: AbstractAsyncContextManager[None] = (
            asyncio.Lock() if self.engine.dialect.name == "sqlite" else nullcontext()
        )

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that sees one consistent state and changes nothing."""
        async with self._sessions() as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed when the block ends, rolled back when it raises. Never one inside another."""
        async with self._sessions() as session, self._line_of_writers:
            await session.connection(execution_options={WRITING: True})
            yield session
            await session.commit()

    async def close(self) -> None:
        await self.engine.dispose()


def make_engine(url: str) -> AsyncEngine:
    parsed = read_url(url)
    # A page of 50 generations holds 350 values of JSON: msgspec reads them in a fraction of the time.
    json_columns = {"json_serializer": encode_json, "json_deserializer": msgspec.json.decode}
    if parsed.get_backend_name() != "sqlite":
        return create_server_engine(parsed, **json_columns)
    engine = create_async_engine(parsed, async_creator=connector(parsed.database or ":memory:"), **json_columns)
    event.listen(engine.sync_engine, "connect", set_pragmas)
    event.listen(engine.sync_engine, "begin", begin)
    return engine


def read_url(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as exc:
        raise unusable(exc) from exc


def create_server_engine(url: URL, **options: Any) -> AsyncEngine:
    try:
        return create_async_engine(url, **options)
    except (ArgumentError, InvalidRequestError, ImportError) as exc:
        raise unusable(exc) from exc


def unusable(exc: Exception) -> SettingsUnusable:
    # Nothing of the URL is shown: it may hold a password.
    return SettingsUnusable(
        f"GENONAUT_DATABASE_URL cannot be used ({type(exc).__name__}). Write it as SQLAlchemy wants it, for example "
        "sqlite+aiosqlite:///FOLDER/genonaut.sqlite3, or leave it out: then it is a file in the data folder."
    )


def encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8")


def set_pragmas(connection: Any, _record: Any) -> None:
    """SQLite's settings for each connection. WAL itself is switched on once, by the migrations."""
    connection.isolation_level = None  # the driver must not begin transactions of its own: `begin` does
    cursor = connection.cursor()
    # The time-out first: everything after it may meet another process's lock.
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.execute(f"PRAGMA journal_size_limit={JOURNAL_SIZE_LIMIT_BYTES}")
    cursor.close()


def begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
