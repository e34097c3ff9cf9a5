"""Databases and queues of every kind that Genonaut runs on, each test with its own."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from integration.backends import BACKENDS
from real.postgresql import PostgreSQL, start_postgresql
from real.redis import Redis, start_redis

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.database import Database
from sidecar.migrations import upgrade

SQLITE_FILE = "genonaut.sqlite3"


END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
KEEP_WHAT_IS_THERE = "CREATE SCHEMA as_migrated; CREATE TABLE as_migrated.plans AS TABLE public.plans"
# Without looking at what refers to what; of the people the local owner stays, who was there from the start.
EMPTY_ALL_TABLES = f"""
DO $$
DECLARE name text;
BEGIN
  SET LOCAL session_replication_role = replica;
  FOR name IN SELECT tablename FROM pg_tables
    WHERE schemaname = 'public'
    AND tablename NOT IN ('alembic_version', 'saq_versions', 'users', 'catalog_version', 'counters')
  LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
  UPDATE counters AS counter SET value = 0 WHERE counter.name = 'purged';
  DELETE FROM users WHERE id <> '{LOCAL_OWNER_ID}';
  INSERT INTO plans SELECT * FROM as_migrated.plans;
  UPDATE users SET name = 'local', comparable_name = 'LOCAL', role = 'admin', plan = 'unlimited',
    password_hash = NULL, disabled_at = NULL;
END $$
"""


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that everybody may pass through: PostgreSQL does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="genonaut-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql(open_folder: Path) -> Iterator[PostgreSQL]:
    with start_postgresql(open_folder / "postgresql") as server:
        yield server


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: PostgreSQL) -> str:
    """One database for all tests of this process, emptied after each: that takes a few milliseconds."""
    url = postgresql.create("genonaut")
    migrate_now(url)
    with psycopg.connect(url) as connection:
        connection.execute(KEEP_WHAT_IS_THERE)
    return url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise for SQLite."""
    folder = tmp_path_factory.mktemp("migrated")
    migrate_now(sqlite_url(folder))
    return folder / SQLITE_FILE


def migrate_now(url: str) -> None:
    async def migrate() -> None:
        database = Database(url)
        await upgrade(database.engine)
        await database.close()

    # In a thread of its own, since this one may be inside an event loop already.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate()).result()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables, of both kinds."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    # Asked for by name, so that nobody starts a server who does not need one.
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = uuid4().hex
    yield server.create(name)
    server.drop(name)


@pytest.fixture
def sqlite_database_url(migrated_file: Path, tmp_path: Path) -> str:
    shutil.copy(migrated_file, tmp_path / SQLITE_FILE)
    return sqlite_url(tmp_path)


@pytest.fixture
def postgresql_database_url(migrated_postgresql: str) -> Iterator[str]:
    yield migrated_postgresql
    with psycopg.connect(migrated_postgresql) as connection:
        connection.execute(END_OTHERS)
        connection.execute(EMPTY_ALL_TABLES, prepare=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same with tables."""
    url: str = request.getfixturevalue(f"{request.param}_database_url")
    return url


@pytest.fixture(scope="session")
def redis_server(open_folder: Path) -> Iterator[Redis]:
    with start_redis(open_folder / "redis") as server:
        yield server


@pytest.fixture
def sqlite_queue_url(tmp_path: Path) -> str:
    return f"sqlite:///{(tmp_path / 'queue.sqlite3').as_posix()}"


@pytest.fixture
def redis_queue_url(redis_server: Redis) -> str:
    redis_server.empty()
    return redis_server.url


@pytest.fixture
def postgresql_queue_url(postgresql_database_url: str) -> str:
    """The same as the database's: PostgreSQL alone."""
    return postgresql_database_url


@pytest.fixture(params=["sqlite", "redis", "postgresql"])
def queue_url(request: pytest.FixtureRequest) -> str:
    """Whatever holds here, holds on every queue."""
    url: str = request.getfixturevalue(f"{request.param}_queue_url")
    return url


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> dict[str, str]:
    """
    The settings that say where everything is kept: the embedded ones, unless the test is marked to run on others, too
    (`backends.every_backend`, `backends.both_databases`).
    """
    database_url, queue_url = map(request.getfixturevalue, BACKENDS[getattr(request, "param", "embedded")])
    return {"GENONAUT_DATABASE_URL": database_url, "GENONAUT_QUEUE_URL": queue_url}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


def sqlite_url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{(folder / SQLITE_FILE).as_posix()}"
