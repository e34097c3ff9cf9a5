"""What holds for somebody now, and how much of it is used."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from integration.conftest import close

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.errors import NotFound
from sidecar.gallery import stored
from sidecar.gallery.models import Image
from sidecar.identity import now, uuid7
from sidecar.limits.persons import Salts
from sidecar.limits.reasons import BEHIND_OWN, limit, sentence
from sidecar.limits.schemas import LimitsPatch, NewOverride
from sidecar.parts import Parts, put_together
from sidecar.quota.schemas import QuotaLimit, QuotaView, QuotaWaiting
from sidecar.quota.usage import Period
from sidecar.settings import Access, Settings

from .conftest import A_DAY, AN_HOUR, AddGroup, AddSomebody, UseUp

HERE = "127.0.0.1"


def by_name(view: QuotaView) -> dict[Any, QuotaLimit]:
    return {limit.name if limit.group is None else (limit.name, limit.group): limit for limit in view.limits}


async def test_each_limit_says_what_is_used_of_it_and_when_it_refills(
    parts: Parts, add_somebody: AddSomebody, use_up: UseUp
):
    """To the moment: what was counted an hour ago has left the hour."""
    ada, at = await add_somebody(plan="free"), now()
    times = [at - timedelta(minutes=10 * ago) for ago in range(1, 11)]
    for time in times:
        await use_up(ada, at=time)
    found = by_name(await parts.quotas.of_caller(ada, HERE))

    hour, day, gpu = (found[f"{name}_per_{window}"] for name, window in PER)
    assert (hour.used, hour.allowed, hour.window_s) == (5, 10, 3600)  # the sixth is exactly an hour old
    assert (day.used, day.allowed, day.refills_at) == (10, 50, times[0] + A_DAY)
    assert (gpu.used, gpu.allowed, gpu.unit) == (20, 3600, "gpu_seconds")
    assert {limit.next_free_at for limit in found.values()} == {None}
    assert (found["pixels_at_most"].used, found["pixels_at_most"].allowed) == (None, 2 * 1024**2)


PER = (("generations", "hour"), ("generations", "day"), ("gpu_seconds", "day"))


async def test_a_limit_that_is_used_up_says_when_the_next_one_is_free(
    parts: Parts, add_somebody: AddSomebody, use_up: UseUp
):
    """When the oldest has left the window."""
    ada, at = await add_somebody(plan="free"), now()
    for minutes in range(10, 20):
        await use_up(ada, at=at - timedelta(minutes=minutes))
    hour = by_name(await parts.quotas.of_caller(ada, HERE))["generations_per_hour"]

    assert (hour.used, hour.next_free_at) == (10, at - timedelta(minutes=19) + AN_HOUR)


async def test_where_nothing_is_limited_there_is_nothing_to_show(
    parts: Parts, add_somebody: AddSomebody, use_up: UseUp
):
    """Limits that there are not are left out."""
    ada = await add_somebody(plan="unlimited")
    await use_up(ada, at=now())
    view = await parts.quotas.of_user(ada)

    assert (view.plan, view.over_limit, view.limits) == ("unlimited", "wait", [])


async def test_the_budget_of_a_group_is_used_by_all_of_its_members(
    parts: Parts, add_somebody: AddSomebody, add_group: AddGroup, use_up: UseUp
):
    """It stands beside one's own."""
    ada, bob = await add_somebody(), await add_somebody()
    group = await add_group("Class 7b", ada, bob, generations_per_day=500)
    for person in (ada, bob, bob):
        await use_up(person, group, at=now())
    found = by_name(await parts.quotas.of_user(ada))

    assert found["generations_per_day"].used == 1
    shared = found["generations_per_day", "Class 7b"]
    assert (shared.used, shared.allowed) == (3, 500)


async def test_what_waits_and_what_runs_is_counted(parts: Parts, add_somebody: AddSomebody, use_up: UseUp):
    """With the moment at which a limit lets the first of those go that it holds, and which limit that is."""
    ada, later = await add_somebody(), now() + AN_HOUR
    first = limit("generations_per_hour", used=2, allowed=2, group=None, free_at=later)
    await use_up(ada, at=now(), state="pending")
    for minutes in (2, 1):
        moment = later + timedelta(minutes=minutes)
        reason = first if minutes == 1 else BEHIND_OWN
        await use_up(ada, at=moment, state="pending", not_before=moment, waiting_reason=reason)
    await use_up(ada, at=now(), state="running")
    view = await parts.quotas.of_user(ada)
    found = by_name(view)

    assert view.waiting == QuotaWaiting(3, later + timedelta(minutes=1), first, sentence(first))
    assert (found["waiting_at_most"].used, found["running_at_once"].used) == (3, 1)
    assert found["generations_per_hour"].used == 2  # those that wait for their moment are used then


async def test_pictures_count_by_their_size(
    parts: Parts, add_somebody: AddSomebody, add_group: AddGroup, use_up: UseUp
):
    """Of all members, where a group has a limit of them."""
    ada, bob = await add_somebody(), await add_somebody()
    await add_group("Class 7b", ada, bob, storage_bytes=1000)
    for person, size in ((ada, 300), (bob, 500)):
        made = await use_up(person, at=now())
        kept = {"node_id": "9", "position": 0, "state": "kept", "bytes": size, "created_at": now()}
        async with parts.database.writing() as session:
            session.add(Image(id=uuid7(), generation_id=made, owner_id=person, **kept))
    found = by_name(await parts.quotas.of_user(ada))

    assert (found["storage_bytes"].used, found["storage_bytes"].unit) == (300, "bytes")
    assert (found["storage_bytes", "Class 7b"].used, found["storage_bytes", "Class 7b"].allowed) == (800, 1000)


async def test_what_pictures_take_is_told_as_it_is_now(
    parts: Parts, add_somebody: AddSomebody, use_up: UseUp, monkeypatch: pytest.MonkeyPatch
):
    """Whoever has deleted some sees it at once; only what takes long to add up is remembered for a while."""
    monkeypatch.setattr(stored, "LOOKING_IS_ONE_IN", 0)
    ada = await add_somebody()
    await parts.overrides.make(ada, NewOverride(LimitsPatch(storage_bytes=1000)), COMMAND_LINE)

    async def used() -> float | None:
        return by_name(await parts.quotas.of_user(ada))["storage_bytes"].used

    async def add(size: int) -> None:
        made = await use_up(ada, at=now())
        kept = {"node_id": "9", "position": 0, "state": "kept", "bytes": size, "created_at": now()}
        async with parts.database.writing() as session:
            session.add(Image(id=uuid7(), generation_id=made, owner_id=ada, **kept))

    told = [await used()]
    for size in (300, 500):
        await add(size)
        told.append(await used())
    monkeypatch.setattr(stored, "LOOKING_IS_ONE_IN", 1_000_000)
    await used()
    await add(100)

    assert [*told, await used()] == [0, 300, 800, 800]


async def test_in_open_access_whoever_asks_from_elsewhere_has_a_quota_of_their_own(
    settings: Settings, parts: Parts, use_up: UseUp, add_somebody: AddSomebody
):
    """Also before anything was counted that day, when nobody can tell yet what their address is called."""
    is_open = put_together(replace(settings, access=Access.OPEN, open_plan="free"))
    owner, elsewhere = await add_somebody(), "192.0.2.9"
    before = by_name(await is_open.quotas.of_caller(owner, elsewhere))["generations_per_hour"].used
    async with parts.database.writing() as session:
        person = await Salts(session).person_at(elsewhere, now())
    await use_up(owner, at=now(), person_id=person.id)
    await use_up(person.id, at=now(), owner_id=owner)
    used = [
        by_name(await is_open.quotas.of_caller(owner, address))["generations_per_hour"].used
        for address in (elsewhere, HERE, "192.0.2.10")
    ]
    period = Period.between(None, None)
    by_address = await is_open.usage.of_caller(owner, elsewhere, period, "state")
    await close(is_open)

    assert (before, used) == (0, [1, 1, 0])
    assert [row.submitted for row in by_address.items] == [1]


async def test_nobody_has_no_quota(parts: Parts):
    """Whoever asks for somebody that there is not hears so."""
    with pytest.raises(NotFound):
        await parts.quotas.of_user(uuid7())
