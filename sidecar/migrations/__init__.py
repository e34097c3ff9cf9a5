"""
The tables' history. `upgrade` brings a database to the newest state; the app calls it when it starts.

A migration is one file in `versions/`, written by hand, with both ways; what was released is never changed again.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from sidecar.database import UNHURRIED, WRITING
from sidecar.sqlite_connection import QuickConnection
from sidecar.write_ahead_log import use_write_ahead_log

NEWEST = "0001"
FOLDER = Path(__file__).parent


async def upgrade(engine: AsyncEngine) -> None:
    """
    Bring the database to the newest state. Quick when it is there already, and safe when two processes start at once.
    """
    async with engine.connect() as connection:
        if await connection.run_sync(revision_of) == NEWEST:
            return
    await let_nobody_wait_for_readers(engine)
    await migrate(engine, NEWEST)


async def migrate(engine: AsyncEngine, revision: str) -> None:
    """Go to a revision, up or down (`base`: no tables at all), in one transaction: all of the way or nothing."""
    # Taking the writer's lock first makes a second process wait, however long, and then find that the work is done.
    async with engine.connect() as connection:
        await connection.execution_options(**{WRITING: True, UNHURRIED: True})
        await connection.run_sync(run_alembic, revision)
        await connection.commit()


async def let_nobody_wait_for_readers(engine: AsyncEngine) -> None:
    """On SQLite, where this is to be said; it is once for all."""
    if engine.dialect.name != "sqlite":
        return
    async with engine.connect() as connection:
        # Past SQLAlchemy, which would begin a transaction, where the mode cannot be changed.
        driver = cast("QuickConnection", (await connection.get_raw_connection()).driver_connection)
        await driver.run(use_write_ahead_log)


def revision_of(connection: Connection) -> str | None:
    """Where this database stands; None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def run_alembic(connection: Connection, revision: str) -> None:
    # Imported here since it takes 0.3 s, and nearly every start finds nothing to do.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    if revision == "base" or (revision_of(connection) or "") > revision:
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
