"""
A SQLite file behind a thread, where a statement is one way there and back.

`aiosqlite` alone goes to its thread four times for each statement: to open a cursor, to execute, to fetch, to close.
Each way is a change of threads on both sides, and a transaction holds SQLite's writer lock for as long as all of its
ways take together. So a transaction also begins on the way of its first statement, and nobody waits for the end of one
that has changed nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import aiosqlite

T = TypeVar("T")
Call = tuple["asyncio.Future[Any] | None", Callable[[], Any]]
"""What is to be done, and whoever waits for it."""


class Outcome(NamedTuple):
    """All that a statement gives."""

    description: Any
    rows: list[Any]
    lastrowid: int | None
    rowcount: int


NOTHING_YET = Outcome(None, [], None, -1)


class QuickCursor:
    """What SQLAlchemy's dialect asks of a cursor of aiosqlite; it streams nothing."""

    def __init__(self, connection: QuickConnection) -> None:
        self._connection = connection
        self._outcome = NOTHING_YET

    @property
    def description(self) -> Any:
        return self._outcome.description

    @property
    def lastrowid(self) -> int | None:
        return self._outcome.lastrowid

    @property
    def rowcount(self) -> int:
        return self._outcome.rowcount

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        self._outcome = await self._connection.run(execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        self._outcome = await self._connection.run(execute_many, statement, parameters)

    async def fetchall(self) -> list[Any]:
        return self._outcome.rows

    async def close(self) -> None:
        self._outcome = NOTHING_YET


class QuickConnection(aiosqlite.Connection):
    """A connection of aiosqlite with quicker cursors and transactions, and a thread that outlives whoever asks it."""

    def __init__(self, path: str) -> None:
        super().__init__(partial(sqlite3.connect, path), iter_chunk_size=1)
        self._begin: str | None = None
        """How the transaction begins that has no statement yet."""
        # No process waits for it, as with SQLAlchemy's own connector.
        self._thread = Thread(target=work_off, args=(self._tx,), daemon=True)

    async def cursor(self) -> QuickCursor:  # type: ignore[override]
        return QuickCursor(self)

    def begin(self, statement: str) -> None:
        """Begin a transaction, so or so, together with its first statement; one without statements is none."""
        self._begin = statement

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do something with the connection in its own thread."""
        begin, self._begin = self._begin, None
        if begin is not None:
            work = partial(after, begin, work)
        outcome: T = await self._execute(work, self._conn, *arguments)  # type: ignore[no-untyped-call]
        return outcome

    def stop(self) -> asyncio.Future[None] | None:
        """Close it, and let its thread end, after all that was asked for."""
        self._running = False
        try:
            waiting: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        except RuntimeError:  # nobody is there to wait: the garbage collector asks
            waiting = None
        self._tx.put_nowait((waiting, self._close_now))
        return waiting

    def _close_now(self) -> object:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return THE_END

    async def commit(self) -> None:
        if self._begin is None:
            await super().commit()
        self._begin = None

    async def rollback(self) -> None:
        """
        Undo the transaction. Whatever is done next with this connection is done after it, so nobody waits for it.

        It cannot fail in a way that would matter: SQLite itself undoes what is open when the connection is closed.
        """
        if self._begin is None:
            self._tx.put_nowait((None, self._conn.rollback))
        self._begin = None


THE_END = object()


def work_off(calls: SimpleQueue[Call]) -> None:
    """
    What the thread of a connection does, to its end.

    aiosqlite's own dies, and closes nothing, when an event loop ends before what was asked there is done. So it is with
    a reader that was cancelled: what it asked for, and the end of its connection, are done when nobody waits any more.
    """
    outcome: Any = None
    while outcome is not THE_END:
        waiting, work = calls.get()
        try:
            outcome = work()
        except BaseException as exc:  # noqa: BLE001 - whoever asked hears of it
            tell(waiting, asyncio.Future.set_exception, exc)
        else:
            tell(waiting, asyncio.Future.set_result, outcome)


def tell(waiting: asyncio.Future[Any] | None, how: Callable[..., None], outcome: Any) -> None:
    def tell_now() -> None:
        if waiting is not None and not waiting.done():
            how(waiting, outcome)

    if waiting is not None:
        with suppress(RuntimeError):  # their loop has ended
            waiting.get_loop().call_soon_threadsafe(tell_now)


def after(begin: str, work: Callable[..., T], connection: sqlite3.Connection, *arguments: Any) -> T:
    """Begin, and do the first thing. If that fails the transaction stays open until its owner ends it."""
    connection.execute(begin)
    return work(connection, *arguments)


def connector(path: str) -> Callable[[], Coroutine[Any, Any, QuickConnection]]:
    """What SQLAlchemy calls for each new connection (`async_creator`)."""

    async def connect() -> QuickConnection:
        connection = QuickConnection(path)
        await connection
        return connection

    return connect


def execute(connection: sqlite3.Connection, statement: str, parameters: Sequence[Any]) -> Outcome:
    cursor = connection.execute(statement, parameters)
    return Outcome(cursor.description, cursor.fetchall(), cursor.lastrowid, cursor.rowcount)


def execute_many(connection: sqlite3.Connection, statement: str, parameters: Iterable[Sequence[Any]]) -> Outcome:
    cursor = connection.executemany(statement, parameters)
    return Outcome(None, [], cursor.lastrowid, cursor.rowcount)
