"""Plans on a real database, as one process has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fakes.people import somebody
from httpx import ASGITransport, AsyncClient
from integration.conftest import close, let_lead
from sqlalchemy import update

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.app import app_of
from sidecar.cluster.bus import Bus
from sidecar.database import Database
from sidecar.generations import admission, moving_up, shares
from sidecar.generations.accounting import discrepancies
from sidecar.generations.models import Generation
from sidecar.generations.submissions import Request
from sidecar.identity import now, uuid7
from sidecar.instances.models import Instance
from sidecar.limits import ledger
from sidecar.limits.models import Group, GroupMember, Plan
from sidecar.limits.plans import Plans, changed
from sidecar.parts import Parts, put_together
from sidecar.settings import Access, Settings, read_settings

AddSomebody = Callable[..., Awaitable[UUID]]
StartParts = Callable[..., AbstractAsyncContextManager[Parts]]
"""Takes the plan that everybody has."""

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "test"}},
}


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
    await close(parts)


class Clock:
    """What time it is for whoever is let in, and for the ledger."""

    def __init__(self) -> None:
        self.at = now().replace(hour=12, minute=0, second=0, microsecond=0)

    def __call__(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (admission, moving_up, shares, ledger):
        monkeypatch.setattr(module, "now", clock)
    return clock


@pytest.fixture
def start(tmp_path: Path, backend: dict[str, str]) -> StartParts:
    """A sidecar that does nothing by itself; everybody there has this plan."""

    @asynccontextmanager
    async def start(plan: str = "free", **environment: str) -> AsyncIterator[Parts]:
        said = {"GENONAUT_DATA": str(tmp_path), "GENONAUT_OPEN_PLAN": plan, **backend, **environment}
        parts = put_together(read_settings(said))
        await let_lead(parts.leadership)
        try:
            yield parts
            async with parts.database.reading() as session:
                assert await discrepancies(session) == []
        finally:
            await close(parts)

    return start


async def submit(
    parts: Parts, owner_id: UUID = LOCAL_OWNER_ID, *, address: str | None = None, **said: Any
) -> Generation:
    known = {"id": uuid7(), "source": "api", "workflow": WORKFLOW}
    return await parts.admission.admit(Request(owner_id=owner_id, **{**known, **said}), address=address)


async def use_up(parts: Parts, count: int = 10, **said: Any) -> None:
    for _ in range(count):
        await submit(parts, **said)


async def change_plan(parts: Parts, name: str, **limits: Any) -> None:
    async with parts.database.writing() as session:
        await session.execute(update(Plan).where(Plan.name == name).values(**limits))
        await changed(session)
    parts.plans.tell()


async def add_people(parts: Parts, *people: UUID, plan: str = "free", group: dict[str, Any] | None = None) -> None:
    async with parts.database.writing() as session:
        session.add_all(somebody(each, plan=plan) for each in people)
        if group is not None:
            group_id = uuid7()
            known = {"comparable_name": "3B", "created_at": now(), "updated_at": now()}
            session.add(Group(id=group_id, name="3b", limits=group, **known))
            await session.flush()
            session.add_all(GroupMember(group_id=group_id, user_id=each) for each in people)


async def add_instance(parts: Parts) -> UUID:
    instance_id = uuid7()
    async with parts.database.writing() as session:
        session.add(Instance(id=instance_id, name="", url="http://127.0.0.1:9", since=now(), created_at=now()))
    return instance_id
