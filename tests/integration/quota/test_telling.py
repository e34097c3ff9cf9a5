"""Whoever listens hears how their quota stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from integration.conftest import close

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.generations.submissions import Request
from sidecar.identity import now, uuid7
from sidecar.limits.schemas import LimitsPatch, NewOverride
from sidecar.live_events import Listener, LiveEvent
from sidecar.parts import Parts, put_together
from sidecar.quota import telling as module
from sidecar.quota.schemas import QuotaView, QuotaWarning
from sidecar.settings import Access, Settings
from sidecar.tasks import end

from .conftest import AddGroup, AddSomebody, UseUp

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "test"}},
}


@pytest.fixture(autouse=True)
async def telling(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """It tells as soon as it can."""
    monkeypatch.setattr(module, "AT_MOST_EVERY_S", 0.0)
    monkeypatch.setattr(module, "REST_FOR_WORK", 0.0)
    running = asyncio.create_task(parts.quota_telling.run())
    yield
    await end(running)


async def heard(listener: Listener, *names: str) -> LiveEvent:
    """The next event of one of these names."""
    while True:
        event = await asyncio.wait_for(listener.queue.get(), 30)
        if event is not None and event.name in names:
            return event


async def test_whoever_submits_hears_how_their_quota_stands(parts: Parts, add_somebody: AddSomebody):
    """As `GET /quota` says it."""
    ada = await add_somebody(plan="free")
    with parts.live_events.listening(ada) as listener:
        await parts.admission.admit(Request(id=uuid7(), owner_id=ada, source="api", workflow=WORKFLOW))
        told = (await heard(listener, "quota")).data

    assert isinstance(told, QuotaView)
    assert told == await parts.quotas.of_user(ada)
    assert told.waiting.count == 1


async def test_who_shares_a_budget_hears_of_it_and_is_warned(
    parts: Parts, add_somebody: AddSomebody, add_group: AddGroup, use_up: UseUp
):
    """Though somebody else has used it."""
    ada, bob = await add_somebody(), await add_somebody()
    group = await add_group("Class 7b", ada, bob, generations_per_day=5)
    for _ in range(4):
        await use_up(ada, group, at=now())
    with parts.live_events.listening(bob) as listener:
        parts.quota_telling.changed(ada)
        warning = (await heard(listener, "quota_warning")).data

    assert warning == QuotaWarning("generations_per_day", "Class 7b", 80, 4, 5)


async def test_a_change_of_limits_is_told(parts: Parts, add_somebody: AddSomebody):
    """At once, to whom it concerns; what is as it was is not told again."""
    ada, bob = await add_somebody(), await add_somebody()
    with parts.live_events.listening(ada) as adas, parts.live_events.listening(bob) as bobs:
        parts.quota_telling.changed(None)
        before = [await heard(listener, "quota") for listener in (adas, bobs)]
        wanted = NewOverride(LimitsPatch(generations_per_hour=70))
        await parts.overrides.make(ada, wanted, COMMAND_LINE)
        after = (await heard(adas, "quota")).data
        parts.quota_telling.changed(None)
        await parts.overrides.make(ada, NewOverride(LimitsPatch(generations_per_hour=80)), COMMAND_LINE)
        await heard(adas, "quota")

    assert [limit.allowed for limit in before[0].data.limits if limit.name == "generations_per_hour"] == [10]
    assert [limit.allowed for limit in after.limits if limit.name == "generations_per_hour"] == [70]
    assert bobs.queue.empty()


async def test_what_nobody_hears_is_not_worked_out(
    parts: Parts, add_somebody: AddSomebody, monkeypatch: pytest.MonkeyPatch
):
    """Of a thousand people who submit, it is done for those who look."""
    ada, bob = await add_somebody(), await add_somebody()
    asked: list[UUID] = []
    of_user = parts.quotas.of_user

    async def counted(user_id: UUID) -> QuotaView:
        asked.append(user_id)
        return await of_user(user_id)

    monkeypatch.setattr(parts.quotas, "of_user", counted)
    parts.quota_telling.changed(ada)
    with parts.live_events.listening(bob) as listener:
        for owner_id in (ada, bob):
            parts.quota_telling.changed(owner_id)
        await heard(listener, "quota")

    assert asked == [bob]


async def test_where_nobody_logs_in_each_hears_of_their_own(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Whoever asks from another address has limits of their own."""
    parts, address = put_together(replace(settings, access=Access.OPEN, open_plan="free")), "192.0.2.7"
    running = asyncio.create_task(parts.quota_telling.run())
    listening = parts.live_events.listening
    with listening(LOCAL_OWNER_ID) as here, listening(LOCAL_OWNER_ID, address=address) as there:
        request = Request(id=uuid7(), owner_id=LOCAL_OWNER_ID, source="api", workflow=WORKFLOW)
        await parts.admission.admit(request, address=address)
        told = [(await heard(listener, "quota")).data.waiting.count for listener in (here, there)]
    await end(running)
    await close(parts)

    assert told == [0, 1]
