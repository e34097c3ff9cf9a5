"""The tables come to be by migrations alone, and are those that the code means."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from integration.backends import both_databases, only_embedded
from sqlalchemy import NUMERIC, Connection, inspect, text

from sidecar.accounts.models import LOCAL_OWNER_ID, User
from sidecar.database import GUID, Database
from sidecar.migrations import FOLDER, NEWEST, migrate, revision_of, upgrade
from sidecar.tables import Base

PROJECT = Path(__file__).parents[2]

pytestmark = both_databases

START = """
import asyncio, sys
from sidecar.database import GUID, Database
from sidecar.migrations import upgrade

async def main():
    database = Database(sys.argv[1])
    await upgrade(database.engine)
    await database.close()
    print("alembic loaded:", "alembic.command" in sys.modules)

asyncio.run(main())
"""


@pytest.fixture
def url(empty_database_url: str) -> str:
    return empty_database_url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{(tmp_path / 'genonaut.sqlite3').as_posix()}")
    yield database
    await database.close()


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
async def test_migrations_and_models_say_the_same(database: Database) -> None:
    """
    What the migrations make is what the models describe: tables, columns, types and keys.
    """
    await upgrade(database.engine)

    async with database.engine.connect() as connection:
        differences = await connection.run_sync(differences_to_the_models)

    assert differences == []


def differences_to_the_models(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": differs, "include_object": is_compared})
    return list(compare_metadata(context, Base.metadata))


def differs(_context: Any, _column: Any, _meant: Any, found_type: Any, meant_type: Any) -> bool | None:
    """None: as Alembic sees it. SQLite reads the BINARY(16) of an id back as a number of 16 digits."""
    if isinstance(meant_type, GUID) and isinstance(found_type, NUMERIC) and found_type.precision == 16:
        return False
    return None


def is_compared(_thing: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """
    Indexes have a test of their own: Alembic does not see their direction and their condition on SQLite. FTS5's index
    of words is made of tables, which no model describes.
    """
    return kind != "index" and not (name or "").startswith("search_index")


async def test_migrations_and_models_make_the_same_indexes(database: Database) -> None:
    """
    Columns, directions and conditions of every index are those of the models, to the letter.
    """
    await upgrade(database.engine)
    found = await index_statements(database)
    await migrate(database.engine, "base")
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    meant = await index_statements(database)

    assert found
    assert meant == found


INDEXES = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
}


async def index_statements(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        rows = await connection.execute(text(INDEXES[database.engine.dialect.name]))
        return {" ".join(sql.split()) for sql in rows.scalars()}


async def test_the_local_owner_is_there_from_the_start(database: Database) -> None:
    """
    In open access everything belongs to the local owner, so the first migration writes that row.
    """
    await upgrade(database.engine)

    async with database.reading() as session:
        owner = await session.get(User, LOCAL_OWNER_ID)

    assert owner is not None
    assert owner.name == "local"


async def test_a_downgrade_leaves_nothing_behind(database: Database) -> None:
    """
    Up, down and up again works, and down to the beginning leaves no table of ours.
    """
    await upgrade(database.engine)
    await migrate(database.engine, "base")
    async with database.engine.connect() as connection:
        left = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await upgrade(database.engine)

    assert left == ["alembic_version"]
    async with database.engine.connect() as connection:
        assert await connection.run_sync(revision_of) == NEWEST


@only_embedded("it is about SQLite's log")
async def test_sqlite_keeps_a_write_ahead_log(sqlite: Database) -> None:
    """
    Readers and the writer do not wait for each other.
    """
    await upgrade(sqlite.engine)

    async with sqlite.engine.connect() as connection:
        mode = (await connection.execute(text("PRAGMA journal_mode"))).scalar()

    assert mode == "wal"


async def test_a_start_with_nothing_to_migrate_does_not_load_alembic(url: str, database: Database) -> None:
    """
    Each start asks, and nearly each finds nothing to do: that must not cost the 0.3 s that Alembic takes to load.
    """
    await upgrade(database.engine)

    process = await run_start(url)
    output, errors = await process.communicate()

    assert process.returncode == 0, errors
    assert output.decode().strip() == "alembic loaded: False"


async def test_a_migration_that_fails_changes_nothing(database: Database) -> None:
    """
    Everything happens in one transaction: a start that dies halfway leaves the database as it was.
    """
    async with database.engine.connect() as connection:
        await connection.execute(text("CREATE TABLE generation_events (id INTEGER)"))  # in the way of the migration
        await connection.commit()

    with pytest.raises(Exception, match=r'generation_events"? already exists'):
        await upgrade(database.engine)

    async with database.engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert tables == ["generation_events"]


async def test_processes_that_start_together_migrate_once(url: str, database: Database) -> None:
    """
    Two processes open a new database at the same moment; both come up, and the owner is there once.
    """
    processes = [await run_start(url) for _ in range(2)]

    endings = [(await process.communicate(), process.returncode) for process in processes]

    assert [code for _output, code in endings] == [0, 0], endings
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM users"))).scalar() == 1


async def run_start(url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", START, url), cwd=PROJECT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


def test_the_newest_migration_is_the_one_that_the_start_asks_for() -> None:
    """
    `NEWEST` is written down so that a start need not read the folder; it must not be forgotten.
    """
    config = Config()
    config.set_main_option("script_location", str(FOLDER))

    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST
