"""Databases and queues of every kind that Genonaut runs on, each test with its own."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from integration.backends import BACKENDS, EMBEDDED, chosen, give_backends, skip_what_is_not_there
from real.postgresql import PostgreSQL, start_postgresql
from real.redis import Redis, start_redis

from sidecar.cluster.leadership import Leadership
from sidecar.database import Database
from sidecar.migrations import upgrade
from sidecar.parts import Parts

SQLITE_FILE = "genonaut.sqlite3"
Settings = dict[str, str]


END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Of every table in which the migrations leave something there is a copy.
KEEP_WHAT_IS_THERE = """
DO $$
DECLARE
  name text;
  is_there boolean;
BEGIN
  CREATE SCHEMA as_migrated;
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO is_there;
    IF is_there THEN EXECUTE format('CREATE TABLE as_migrated.%I AS TABLE public.%I', name, name); END IF;
  END LOOP;
END $$
"""
# Without looking at what refers to what, and past the triggers that keep the audit.
EMPTY_ALL_TABLES = """
DO $$
DECLARE name text;
BEGIN
  SET LOCAL session_replication_role = replica;
  FOR name IN SELECT tablename FROM pg_tables
    WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'saq_versions')
  LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'as_migrated' LOOP
    EXECUTE format('INSERT INTO public.%I SELECT * FROM as_migrated.%I', name, name);
  END LOOP;
END $$
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    give_backends(metafunc)


def pytest_runtest_setup(item: pytest.Item) -> None:
    skip_what_is_not_there(item)


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
def postgresql_template(postgresql: PostgreSQL) -> str:
    """The name of a database to make others of."""
    url = postgresql.create("template_of_genonaut")
    migrate_now(url)
    with psycopg.connect(url) as connection:
        connection.execute(KEEP_WHAT_IS_THERE)
    return "template_of_genonaut"


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: PostgreSQL, postgresql_template: str) -> str:
    """One database for all tests of this process, emptied after each: that takes a few milliseconds."""
    return postgresql.create("genonaut", template=postgresql_template)


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


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path, backend_name: str) -> Iterator[str]:
    """A database without tables."""
    if backend_name == EMBEDDED:
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
    empty(migrated_postgresql)


def empty(url: str) -> None:
    """Make a PostgreSQL's database as it was when it was new; whoever is connected is not any more."""
    with psycopg.connect(url) as connection:
        connection.execute(END_OTHERS)
        connection.execute(EMPTY_ALL_TABLES, prepare=False)


@pytest.fixture(scope="session")
def redis_server(open_folder: Path) -> Iterator[Redis]:
    with start_redis(open_folder / "redis") as server:
        yield server


@pytest.fixture
def sqlite_queue_url(tmp_path: Path) -> str:
    return queue_url_in(tmp_path)


@pytest.fixture
def redis_queue_url(redis_server: Redis) -> str:
    redis_server.empty()
    return redis_server.url


@pytest.fixture
def postgresql_queue_url(postgresql_database_url: str) -> str:
    """The same as the database's: PostgreSQL alone."""
    return postgresql_database_url


@pytest.fixture
def backend_name(request: pytest.FixtureRequest) -> str:
    """On what this test runs (`backends.py`)."""
    return str(getattr(request, "param", chosen(request.config)))


@pytest.fixture
def database_url(request: pytest.FixtureRequest, backend_name: str) -> str:
    """Of a database with tables."""
    fixture, _ = BACKENDS[backend_name]
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def queue_url(request: pytest.FixtureRequest, backend_name: str) -> str:
    _, fixture = BACKENDS[backend_name]
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def backend(database_url: str, queue_url: str) -> Settings:
    """The settings that say where everything is kept."""
    return settings_for(database_url, queue_url)


@pytest.fixture(scope="module")
def backend_of_all(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The same for all tests of a file together."""
    name = chosen(request.config)
    if name == EMBEDDED:
        yield embedded_in(tmp_path_factory.mktemp("backend"), request.getfixturevalue("migrated_file"))
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    database = uuid4().hex
    database_url = server.create(database, template=request.getfixturevalue("postgresql_template"))
    queue_url = database_url if name == "postgresql" else request.getfixturevalue("redis_server").url
    yield settings_for(database_url, queue_url)
    server.drop(database)


@pytest.fixture
def new_backend(request: pytest.FixtureRequest, backend_name: str) -> Callable[[Path], Settings]:
    """For what runs many times within one test: the settings with everything new, files in this folder."""
    if backend_name == EMBEDDED:
        return partial(embedded_in, migrated_file=request.getfixturevalue("migrated_file"))
    settings = request.getfixturevalue("backend")

    def emptied(_folder: Path) -> Settings:
        empty(settings["GENONAUT_DATABASE_URL"])
        return dict(settings)

    return emptied


def embedded_in(folder: Path, migrated_file: Path) -> Settings:
    shutil.copy(migrated_file, folder / SQLITE_FILE)
    return settings_for(sqlite_url(folder), queue_url_in(folder))


def settings_for(database_url: str, queue_url: str) -> Settings:
    return {"GENONAUT_DATABASE_URL": database_url, "GENONAUT_QUEUE_URL": queue_url}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def close(parts: Parts) -> None:
    """What a sidecar that does nothing by itself has opened all the same."""
    for queue in parts.queues:
        await queue.disconnect()
    await parts.places.close()
    await parts.instances.close()
    await parts.database.close()


async def let_lead(leadership: Leadership) -> None:
    """Nothing of this process runs; a test does what only the leader may do."""
    await leadership._begin()


def sqlite_url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{(folder / SQLITE_FILE).as_posix()}"


def queue_url_in(folder: Path) -> str:
    return f"sqlite:///{(folder / 'queue.sqlite3').as_posix()}"
