"""What people have used, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fakes.people import somebody
from integration.conftest import close

from sidecar.generations.models import Generation, Workflow
from sidecar.identity import now, uuid7
from sidecar.limits import ledger
from sidecar.limits.ledger import Reservation
from sidecar.limits.models import Group, GroupMember
from sidecar.parts import Parts, put_together
from sidecar.settings import Settings, read_settings

AN_HOUR, A_DAY = timedelta(hours=1), timedelta(days=1)
NO_WORKFLOW = bytes(32)

UseUp = Callable[..., Awaitable[UUID]]
AddSomebody = Callable[..., Awaitable[UUID]]
AddGroup = Callable[..., Awaitable[UUID]]


@pytest.fixture
def settings(tmp_path: Path, backend: dict[str, str]) -> Settings:
    return read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_ACCESS": "accounts", **backend})


@pytest.fixture
async def parts(settings: Settings) -> AsyncIterator[Parts]:
    """A sidecar that does nothing by itself."""
    parts = put_together(settings)
    yield parts
    await close(parts)


@pytest.fixture
def add_somebody(parts: Parts) -> AddSomebody:
    async def add(name: str = "", plan: str = "free") -> UUID:
        user_id = uuid7()
        called = {"name": name, "comparable_name": name.casefold()} if name else {}
        async with parts.database.writing() as session:
            session.add(somebody(user_id, plan=plan, **called))
        return user_id

    return add


@pytest.fixture
def add_group(parts: Parts) -> AddGroup:
    async def add(name: str, *members: UUID, **limits: int) -> UUID:
        group_id, at = uuid7(), now()
        named = {"name": name, "comparable_name": name.casefold(), "limits": limits}
        async with parts.database.writing() as session:
            session.add(Group(id=group_id, created_at=at, updated_at=at, **named))
            await session.flush()
            session.add_all(GroupMember(group_id=group_id, user_id=member) for member in members)
        return group_id

    return add


@pytest.fixture
def use_up(parts: Parts) -> UseUp:
    """Somebody makes something: what enters is reserved, and what has ended is settled."""

    async def use(
        *account_ids: UUID, at: datetime, took_ms: int | None = 2000, state: str = "completed", **said: Any
    ) -> UUID:
        generation_id = uuid7()
        async with parts.database.writing() as session:
            if await session.get(Workflow, NO_WORKFLOW) is None:
                session.add(Workflow(hash=NO_WORKFLOW, content=b""))
                await session.flush()
            known = {"owner_id": account_ids[0], "state": state, "source": "page", "workflow_hash": NO_WORKFLOW}
            session.add(
                Generation(
                    id=generation_id,
                    number=generation_id.int % 2**31,
                    submission={},
                    created_at=at,
                    updated_at=at,
                    **{**known, **said},
                )
            )
            await ledger.reserve(session, [Reservation(generation_id, account_ids, 10_000, at)], at=at)
            if state not in ("pending", "submitted", "running"):
                await ledger.settle(session, {generation_id: took_ms if state == "completed" else None})
        return generation_id

    return use
