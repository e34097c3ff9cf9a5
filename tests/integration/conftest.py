"""Databases and queues of every kind that Genonaut runs on, each test with its own."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from real.postgresql import PostgreSQL, start_postgresql

from sidecar.database import Database
from sidecar.migrations import upgrade

MIGRATED = "migrated"
SQLITE_FILE = "genonaut.sqlite3"


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that everybody may pass through: PostgreSQL does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="genonaut-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql(open_folder: Path) -> Iterator[PostgreSQL]:
    """A server with a migrated database, of which each test gets a copy: that is quicker than to migrate each time."""
    with start_postgresql(open_folder / "postgresql") as server:
        migrate_now(server.create(MIGRATED))
        yield server


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
def new_postgresql_database(postgresql: PostgreSQL) -> Iterator[Callable[..., str]]:
    """Makes databases, migrated ones or empty ones; their URLs. They go when the test ends."""
    made: list[str] = []

    def make(*, migrated: bool = True) -> str:
        made.append(uuid4().hex)
        return postgresql.create(made[-1], template=MIGRATED if migrated else "template1")

    yield make
    for name in made:
        postgresql.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Whatever holds here, holds on both databases."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    # Asked for by name, so that nobody starts a server who does not need one.
    url: str = request.getfixturevalue("new_postgresql_database")(migrated=False)
    return url


@pytest.fixture
def sqlite_database_url(migrated_file: Path, tmp_path: Path) -> str:
    shutil.copy(migrated_file, tmp_path / SQLITE_FILE)
    return sqlite_url(tmp_path)


@pytest.fixture
def postgresql_database_url(new_postgresql_database: Callable[[], str]) -> str:
    return new_postgresql_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same with tables."""
    url: str = request.getfixturevalue(f"{request.param}_database_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


def sqlite_url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{(folder / SQLITE_FILE).as_posix()}"
