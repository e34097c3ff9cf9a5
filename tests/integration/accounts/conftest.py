"""Accounts on a real database, and the sidecar's HTTP over it without anything that works in the background."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fakes.paired import AsPack
from httpx import ASGITransport, AsyncClient
from integration.conftest import close

from sidecar.accounts import desk
from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.callers import Role
from sidecar.accounts.desk import Accounts
from sidecar.accounts.models import User
from sidecar.accounts.people import NewPerson
from sidecar.app import app_of
from sidecar.cluster.bus import Bus
from sidecar.database import Database
from sidecar.generations.history import owns_anything
from sidecar.generations.stopping import stop_all
from sidecar.parts import put_together
from sidecar.settings import Settings, read_settings

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
SECRET = "paired"
PASSWORD = "four unlikely lamps sing"
ANOTHER = "seven slow trains to nowhere"
API = "/api/v1"

AddPerson = Callable[..., Awaitable[User]]
Browser = AsyncClient


PAIRED = AsPack(SECRET)


@pytest.fixture
def environment(tmp_path: Path, backend: dict[str, str]) -> dict[str, str]:
    return {
        "GENONAUT_DATA": str(tmp_path),
        "GENONAUT_COMFYUI_URL": "http://127.0.0.1:9",
        "GENONAUT_PAIRING_SECRET": SECRET,
        "GENONAUT_ACCESS": "accounts",
        **backend,
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return read_settings(environment)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url)
    yield database
    await database.close()


@pytest.fixture
def accounts(database: Database, settings: Settings) -> Accounts:
    return another_process(database, settings)


def another_process(database: Database, settings: Settings) -> Accounts:
    """What one more process would have: the same database, and a memory of its own."""
    return desk.put_together(database, Bus(), settings, owns_anything, stop_all, CHEAP)


@pytest.fixture
def add_person(accounts: Accounts) -> AddPerson:
    async def add(name: str, role: Role = Role.MEMBER, password: str | None = PASSWORD) -> User:
        return await accounts.people.add(NewPerson(name, role, password=password), COMMAND_LINE)

    return add


@pytest.fixture
async def browser(settings: Settings) -> AsyncIterator[Browser]:
    async with browser_at(settings) as browser:
        yield browser


@asynccontextmanager
async def browser_at(settings: Settings) -> AsyncIterator[Browser]:
    """Somebody's browser, not logged in, at a sidecar that does nothing by itself."""
    parts = put_together(settings, CHEAP)
    app: Any = app_of(parts)
    transport = ASGITransport(app, client=("192.0.2.7", 50000))
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1:8190") as browser:
        yield browser
    await close(parts)


async def log_in(browser: Browser, name: str, password: str = PASSWORD) -> None:
    answer = await browser.post(f"{API}/sessions", json={"name": name, "password": password})
    assert answer.status_code == 201, answer.text
