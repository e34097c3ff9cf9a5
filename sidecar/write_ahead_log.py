"""SQLite's write-ahead log: readers and the writer of a file do not wait for each other."""

from __future__ import annotations

import sqlite3
import time

TRY_FOR_S = 10.0
PAUSE_S = 0.01
LOCKED = "database is locked"


def use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """
    Switch it on, if it is not. It stays so: the file remembers.

    Whoever does that reads the file first and then wants it alone. Of two at one moment, each of which waits for the
    other's read to end, SQLite refuses one at once, whatever the connection's time-out.
    """
    deadline = time.monotonic() + TRY_FOR_S
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        if not switched_on(connection, may_wait=time.monotonic() < deadline):
            time.sleep(PAUSE_S)


def switched_on(connection: sqlite3.Connection, *, may_wait: bool) -> bool:
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as exc:
        if str(exc) == LOCKED and may_wait:
            return False
        raise
    return True
