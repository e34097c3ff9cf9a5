"""Plans on a real database, as one process has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fakes.people import somebody
from httpx import ASGITransport, AsyncClient

from sidecar.app import app_of, put_together
from sidecar.cluster.bus import Bus
from sidecar.database import Database
from sidecar.identity import uuid7
from sidecar.limits.plans import Plans
from sidecar.settings import Access, Settings, read_settings

AddSomebody = Callable[..., Awaitable[UUID]]


@pytest.fixture
def settings(tmp_path: Path, backend: dict[str, str]) -> Settings:
    return read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_ACCESS": "accounts", **backend})


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url)
    yield database
    await database.close()


@pytest.fixture
def plans(database: Database, settings: Settings) -> Plans:
    return Plans(database, Bus(), settings)


@pytest.fixture
def add_somebody(database: Database) -> AddSomebody:
    async def add(**said: Any) -> UUID:
        user_id = uuid7()
        async with database.writing() as session:
            session.add(somebody(user_id, **said))
        return user_id

    return add


@pytest.fixture
async def admin(settings: Settings) -> AsyncIterator[AsyncClient]:
    """An administrator's program, at a sidecar that does nothing by itself. Access is open: they are on its machine."""
    parts = put_together(replace(settings, access=Access.OPEN))
    app: Any = app_of(parts)
    transport = ASGITransport(app=app, client=("127.0.0.1", 50000))
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1:8190/api/v1/admin") as admin:
        yield admin
    await parts.instances.close()
    await parts.database.close()
