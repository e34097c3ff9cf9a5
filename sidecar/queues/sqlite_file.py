"""
One SQLite file, one connection, one thread.

SQLite calls block, so they leave the event loop; and one thread keeps their order, so that what was asked for first
is written first. A write takes SQLite's writer lock at its beginning: what it reads stays true until it commits, also
for other processes on the same file.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sidecar.errors import QueueUnavailable
from sidecar.write_ahead_log import use_write_ahead_log

T = TypeVar("T")

BUSY_TIMEOUT_S = 10.0
JOURNAL_SIZE_LIMIT_BYTES = 16 * 1024**2


class SqliteFile:
    """The one way to one file from one process. Opened by its first use; closed by whoever made it."""

    def __init__(self, path: Path, *, schema: str, version: int) -> None:
        self.path = path
        self._schema = schema
        self._version = version
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Look at the file without taking its writer lock."""
        return await self._in_thread(work)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Run a transaction: all of `work` or nothing of it.

        It runs to its end even if the caller is cancelled meanwhile: what was asked for is never half known.

        Raises:
            QueueUnavailable: Disk full, file locked for too long, not writable, not a database.
        """
        return await self._in_thread(in_transaction(work))

    async def write_if(
        self, look: Callable[[sqlite3.Connection], bool], work: Callable[[sqlite3.Connection], T]
    ) -> T | None:
        """As `write`, after a look that may make it needless: the writer lock is not taken for nothing."""
        transaction = in_transaction(work)
        return await self._in_thread(lambda connection: transaction(connection) if look(connection) else None)

    async def close(self) -> None:
        """Finish what was asked for, then let the file go. It may be used again afterwards."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            await asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown()

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="queue-file")
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._run, work)
        return await asyncio.shield(running)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._translated():
            if self._connection is None:
                self._connection = self._open()
            return work(self._connection)

    def _open(self) -> sqlite3.Connection:
        # The time-out holds from the first statement on: two processes may open a new file together.
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            use_write_ahead_log(connection)
            # A commit survives the end of the process at once, and the end of the power within a checkpoint.
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(f"PRAGMA journal_size_limit={JOURNAL_SIZE_LIMIT_BYTES}")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > self._version:
            raise QueueUnavailable(
                f"The queue {self.path} is of a newer Genonaut. Name another file in GENONAUT_QUEUE_URL."
            )
        if version < self._version:
            # `executescript` begins no transaction of its own: the statements bring theirs.
            connection.executescript(f"BEGIN IMMEDIATE; {self._schema}; PRAGMA user_version={self._version}; COMMIT;")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's troubles as sentences; the cause stays for the log."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # a fault of ours
        except sqlite3.DatabaseError as exc:
            raise QueueUnavailable(self._sentence(exc)) from exc

    def _sentence(self, exc: sqlite3.DatabaseError) -> str:
        reason = str(exc)
        if "full" in reason:
            return f"The disk with the queue {self.path} is full. Free some space: everything that waits goes on then."
        if "locked" in reason:
            return f"The queue {self.path} is locked by another program for more than {BUSY_TIMEOUT_S:.0f} seconds."
        if "not a database" in reason or "malformed" in reason:
            return (
                f"The queue {self.path} is damaged ({reason}). Stop Genonaut, move the file away and start again: "
                "what waits is queued anew."
            )
        return f"The queue {self.path} cannot be used: {reason}. Its folder must exist and be writable."


def in_transaction(work: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
    def transaction(connection: sqlite3.Connection) -> T:
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        finally:
            # SQLite ends a transaction itself when the disk is full.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return result

    return transaction
