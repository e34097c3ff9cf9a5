"""Connections to a SQLite file, and threads that are still at work when nobody waits any more."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

from sidecar.sqlite_connection import QuickConnection, connector
from sidecar.write_ahead_log import LOCKED, use_write_ahead_log


def test_what_nobody_waits_for_any_more_is_done_and_the_file_is_closed(tmp_path: Path):
    """A reader was cancelled and its event loop has ended: that is no fault, and nothing stays open."""
    may_go_on, done = threading.Event(), threading.Event()

    def take_long(_connection: sqlite3.Connection) -> None:
        may_go_on.wait(30)
        done.set()

    async def ask_and_leave() -> QuickConnection:
        connection = await connector(str(tmp_path / "a.sqlite3"))()
        asking = asyncio.create_task(connection.run(take_long))
        await asyncio.sleep(0)
        asking.cancel()
        connection.stop()
        return connection

    connection = asyncio.run(ask_and_leave())
    may_go_on.set()
    connection._thread.join(30)

    assert done.is_set()
    assert not connection._thread.is_alive()
    assert connection._connection is None


class Contested(sqlite3.Connection):
    """Is refused as often as there are others who switch the log on in the same moment."""

    others = 2

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement.endswith("=WAL") and self.others:
            self.others -= 1
            raise sqlite3.OperationalError(LOCKED)
        return super().execute(statement, *values)


def test_who_opens_a_new_file_in_the_same_moment_as_others_gets_it(tmp_path: Path):
    """SQLite refuses one of two at once, although the other one is done in a moment."""
    connection = sqlite3.connect(tmp_path / "a.sqlite3", factory=Contested)
    use_write_ahead_log(connection)
    mode = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()

    assert mode == ("wal",)
