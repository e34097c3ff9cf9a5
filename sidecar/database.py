"""
One database, two ways in: `reading` and `writing`.

A write has the database to itself from its beginning: what it read stays true until it commits. SQLite has one writer
at a time anyway, and is asked for its lock at once (`BEGIN IMMEDIATE`); on PostgreSQL all writers of all processes take
the same advisory lock first, so that one and the same code is right on both. Whoever waits for SQLite's lock asks again
after ever longer pauses, and on PostgreSQL holds a connection meanwhile; so the writers of one process form a line
before they ask. Nobody waits for ever: who has to wait for too long is told to try again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, cast

import msgspec
from advanced_alchemy.base import orm_registry
from advanced_alchemy.types import GUID, DateTimeUTC
from sqlalchemy import URL, Connection, Table, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import NullPool

from sidecar.errors import DatabaseBusy, DatabaseUnavailable, SettingsUnusable
from sidecar.sqlite_connection import QuickConnection, connector

WRITING = "genonaut_writing"
UNHURRIED = "genonaut_unhurried"
BEFORE_COMMIT, AFTER_COMMIT = "genonaut_before_commit", "genonaut_after_commit"
WRITERS_LOCK = 0x67656E6F  # "geno": PostgreSQL's advisory locks have numbers, and other programs may use some too
LOCKS_WAITED_FOR_S = 10.0
STATEMENT_AT_MOST_S = 60.0
WAITED_FOR_AT_THE_END_S = 3.0
TRY_AGAIN_AFTER_S = 5.0
JOURNAL_SIZE_LIMIT_BYTES = 64 * 1024**2
POSTGRESQL_DRIVER = "postgresql+asyncpg"
SESSION: Mapping[str, str] = {
    # Whoever stops in the middle of a transaction, with everybody waiting for its lock, is shown the door.
    "idle_in_transaction_session_timeout": "60000",
    # A process on a machine that is gone is noticed, and what it held is free, within half a minute.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # Compiling a query takes longer (50 ms) than any of ours.
    "jit": "off",
}
LOCK_NOT_AVAILABLE, QUERY_CANCELED = "55P03", "57014"  # PostgreSQL's errcodes.h: a lock, a statement took too long
LOCKED = "database is locked"  # SQLite's word for the first of them
ONE_MOMENT: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

__all__ = ["GUID", "Base", "Database", "DateTimeUTC", "after_commit", "before_commit", "table_of"]


class Base(DeclarativeBase):
    """The base of every table."""

    registry = orm_registry


def table_of(model: type[Base]) -> Table:
    """For statements of which there are many: through the ORM's eyes each costs twice as much."""
    return cast("Table", model.__table__)


class Database:
    """The one way to the tables. One a process; closed when the process stops."""

    def __init__(self, url: str) -> None:
        self._url = read_url(url)
        self.engine = make_engine(self._url)
        self.is_shared = self._url.get_backend_name() != "sqlite"
        """Is it a server, to which several processes may speak? SQLite's file belongs to one sidecar."""
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._line_of_writers = asyncio.Lock()
        self._at_it = 0
        self._left_alone = asyncio.Event()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """
        A session that sees one consistent state and changes nothing.

        Raises:
            DatabaseUnavailable: It does not answer.
        """
        with as_database_errors(), self._counted():
            async with self._sessions() as session:
                if self.is_shared:
                    await connected(session, ONE_MOMENT)
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """
        A transaction: committed when the block ends, rolled back when it raises. Never one inside another.

        Raises:
            DatabaseBusy: Others wrote for too long.
            DatabaseUnavailable: It does not answer.
        """
        began = time.monotonic()
        with as_database_errors(), self._counted():
            async with self._sessions() as session, self._line_of_writers:
                if time.monotonic() - began > LOCKS_WAITED_FOR_S:
                    raise busy()  # as were those ahead in the line; nobody shall wait once for each of them
                await connected(session, {WRITING: True})
                yield session
                await do_before_commit(session)
                await session.commit()
                for act in session.info.pop(AFTER_COMMIT, ()):
                    act()

    @asynccontextmanager
    async def session_of_its_own(self) -> AsyncIterator[Any]:
        """
        PostgreSQL alone: asyncpg's own connection, outside of the pool, for what lives as long as a session does.

        Raises:
            DatabaseUnavailable: It does not answer.
        """
        engine = create_server_engine(self._url, poolclass=NullPool)
        try:
            connection = await opened(engine)
            try:
                yield (await connection.get_raw_connection()).driver_connection
            finally:
                await connection.invalidate()  # it ends, whatever state it is in, and everything it held is free
                await connection.close()
        finally:
            await engine.dispose()

    async def close(self) -> None:
        """
        Let whoever is still at it come to an end, such as a round that is done for many (`together.py`): a connection
        that is given back afterwards is closed by nobody.
        """
        if self._at_it:
            self._left_alone.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._left_alone.wait(), WAITED_FOR_AT_THE_END_S)
        await self.engine.dispose()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._at_it += 1
        try:
            yield
        finally:
            self._at_it -= 1
            if not self._at_it:
                self._left_alone.set()


def before_commit(session: AsyncSession, act: Callable[[AsyncSession, list[Any]], Awaitable[None]], about: Any) -> None:
    """
    Have this done in the same transaction, right before it commits: once, about everything that was named by then.

    For what follows from a change, whoever makes it, and costs less for many at once.
    """
    session.info.setdefault(BEFORE_COMMIT, {}).setdefault(act, []).append(about)


def after_commit(session: AsyncSession, act: Callable[[], None]) -> None:
    """Have this done when the transaction is committed, before anybody else of this process can write."""
    session.info.setdefault(AFTER_COMMIT, []).append(act)


async def do_before_commit(session: AsyncSession) -> None:
    for act, about in session.info.pop(BEFORE_COMMIT, {}).items():
        await act(session, about)


def read_url(url: str) -> URL:
    """
    Raises:
        SettingsUnusable: It is no URL, or one of a database that the tables are not made for.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise unusable(exc) from exc
    if parsed.get_backend_name() == "postgresql":
        # The one driver that is asynchronous on Windows, too; a URL may be written as every other program has it.
        return parsed.set(drivername=POSTGRESQL_DRIVER)
    if parsed.get_backend_name() == "sqlite":
        return parsed
    raise SettingsUnusable(
        f"GENONAUT_DATABASE_URL begins with {parsed.drivername}:, and the tables are made for SQLite and PostgreSQL. "
        "Use postgresql://USER:PASSWORD@HOST/DATABASE, or leave it out: then it is a file in the data folder."
    )


def make_engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, async_creator=connector(url.database or ":memory:"), **JSON_COLUMNS)
        event.listen(engine.sync_engine, "connect", set_pragmas)
    else:
        # Asked before it is used: a server that was restarted must not cost one failed request for each connection.
        engine = create_server_engine(url, pool_pre_ping=True)
        event.listen(engine.sync_engine, "connect", take_any_text)
    event.listen(engine.sync_engine, "begin", begin)
    return engine


def create_server_engine(url: URL, **options: Any) -> AsyncEngine:
    try:
        return create_async_engine(url, connect_args={"server_settings": session_settings()}, **JSON_COLUMNS, **options)
    except ModuleNotFoundError as exc:
        raise SettingsUnusable(
            "GENONAUT_DATABASE_URL names a PostgreSQL database, for which a package is missing here. "
            'Install it beside the sidecar: pip install "genonaut[sidecar,postgresql]".'
        ) from exc
    except (ArgumentError, InvalidRequestError) as exc:
        raise unusable(exc) from exc


def session_settings() -> dict[str, str]:
    return {
        **SESSION,
        "lock_timeout": f"{LOCKS_WAITED_FOR_S * 1000:.0f}",
        "statement_timeout": f"{STATEMENT_AT_MOST_S * 1000:.0f}",
    }


def unusable(exc: Exception) -> SettingsUnusable:
    # Nothing of the URL is shown: it may hold a password.
    return SettingsUnusable(
        f"GENONAUT_DATABASE_URL cannot be used ({type(exc).__name__}). Write it as SQLAlchemy wants it, for example "
        "sqlite+aiosqlite:///FOLDER/genonaut.sqlite3, or leave it out: then it is a file in the data folder."
    )


def encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8")


# A page of 50 generations holds 350 values of JSON: msgspec reads them in a fraction of the time.
JSON_COLUMNS: dict[str, Any] = {"json_serializer": encode_json, "json_deserializer": msgspec.json.decode}


async def connected(session: AsyncSession, options: Mapping[str, Any]) -> None:
    """Begin the transaction now, with these options."""
    try:
        await session.connection(execution_options=options)
    except SQLAlchemyError:
        raise
    except Exception as exc:
        # asyncpg's own words and the network's: SQLAlchemy translates nothing that happens before it is connected.
        raise DatabaseUnavailable from exc


async def opened(engine: AsyncEngine) -> AsyncConnection:
    try:
        return await engine.connect()
    except Exception as exc:
        raise DatabaseUnavailable from exc


@contextmanager
def as_database_errors() -> Iterator[None]:
    """Who calls need not know whose error it is that says: not now."""
    try:
        yield
    except PoolTimeoutError as exc:
        raise DatabaseUnavailable from exc
    except DBAPIError as exc:
        if took_too_long(exc.orig):
            raise busy() from exc
        if exc.connection_invalidated or isinstance(exc, OperationalError):
            raise DatabaseUnavailable from exc
        raise


def took_too_long(cause: BaseException | None) -> bool:
    return getattr(cause, "sqlstate", None) in {LOCK_NOT_AVAILABLE, QUERY_CANCELED} or str(cause) == LOCKED


def busy() -> DatabaseBusy:
    return DatabaseBusy(retry_after_s=TRY_AGAIN_AFTER_S)


def set_pragmas(connection: Any, _record: Any) -> None:
    """SQLite's settings for each connection. WAL itself is switched on once, by the migrations."""
    connection.isolation_level = None  # the driver must not begin transactions of its own: `begin` does
    cursor = connection.cursor()
    # The time-out first: everything after it may meet another process's lock.
    cursor.execute(f"PRAGMA busy_timeout={LOCKS_WAITED_FOR_S * 1000:.0f}")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.execute(f"PRAGMA journal_size_limit={JOURNAL_SIZE_LIMIT_BYTES}")
    cursor.close()


def take_any_text(connection: Any, _record: Any) -> None:
    """Text may hold a NUL, in a prompt or in what somebody looks for; PostgreSQL's cannot, and SQLite's can."""

    async def set_codecs(session: Any) -> None:
        for name in ("text", "varchar"):
            await session.set_type_codec(name, schema="pg_catalog", encoder=without_nul, decoder=str, format="text")

    connection.run_async(set_codecs)


def without_nul(text: str) -> str:
    return text.replace("\x00", "")


def begin(connection: Connection) -> None:
    """Begin a transaction; one that writes waits here until it is alone."""
    options = connection.get_execution_options()
    writing = options.get(WRITING, False)
    if connection.dialect.name == "sqlite":
        quick = cast("QuickConnection", connection.connection.driver_connection)
        quick.begin("BEGIN IMMEDIATE" if writing else "BEGIN")
    elif writing:
        if options.get(UNHURRIED, False):
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")
