"""What was used over time, by one and by all."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from integration.backends import both_databases
from integration.conftest import close
from sqlalchemy import delete

from sidecar.app import app_of
from sidecar.errors import InvalidRequest
from sidecar.generations.models import Generation
from sidecar.identity import now
from sidecar.parts import Parts, put_together
from sidecar.quota import usage as usage_module
from sidecar.quota.schemas import By
from sidecar.quota.usage import Period
from sidecar.settings import Access, Settings

from .conftest import AddGroup, AddSomebody, UseUp

FIRST = datetime(2026, 11, 20, 23, 59, tzinfo=timezone.utc)
SECOND = FIRST + timedelta(minutes=2)
PERIOD = Period(FIRST, FIRST + timedelta(days=2))
BY: tuple[By, ...] = ("day", "checkpoint", "state")


@both_databases
async def test_usage_is_summed_by_day_by_checkpoint_and_by_how_it_ended(
    parts: Parts, add_somebody: AddSomebody, use_up: UseUp
):
    """What did not come to an end that counts was submitted all the same; what is removed stays used."""
    ada, bob = await add_somebody(), await add_somebody()
    await use_up(bob, at=FIRST)
    for outside in (PERIOD.begins_at - timedelta(seconds=1), PERIOD.ends_at):
        await use_up(ada, at=outside)
    await use_up(ada, at=FIRST, checkpoint="a.safetensors", took_ms=1500)
    await use_up(ada, at=SECOND, checkpoint="a.safetensors", state="failed")
    await use_up(ada, at=SECOND, checkpoint="b.safetensors", state="pending")
    removed = await use_up(ada, at=SECOND, took_ms=250)
    async with parts.database.writing() as session:
        await session.execute(delete(Generation).where(Generation.id == removed))
    told = {}
    for by in BY:
        view = await parts.usage.of_caller(ada, "192.0.2.9", PERIOD, by)
        told[by] = [(row.key, row.submitted, row.generations, row.gpu_seconds) for row in view.items]

    assert told == {
        "day": [("2026-11-21", 3, 2, 10.25), ("2026-11-20", 1, 1, 1.5)],
        "checkpoint": [("b.safetensors", 1, 1, 10), ("a.safetensors", 2, 1, 1.5), ("removed", 1, 1, 0.25)],
        "state": [("pending", 1, 1, 10), ("completed", 1, 1, 1.5), ("removed", 1, 1, 0.25), ("failed", 1, 0, 0)],
    }


@pytest.mark.parametrize(
    ("begins_at", "ends_at"),
    [
        (SECOND, FIRST),
        (FIRST, FIRST + timedelta(days=367)),
        (None, datetime(1, 1, 2, tzinfo=timezone.utc)),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))), None),
    ],
)
def test_a_period_has_a_beginning_before_its_end(begins_at: datetime | None, ends_at: datetime | None):
    """And lasts for a year at most."""
    with pytest.raises(InvalidRequest, match="later than `from`"):
        Period.between(begins_at, ends_at)


def test_where_nothing_is_said_it_is_the_last_month():
    """And a time without a zone is UTC."""
    ends_at = datetime(2026, 11, 21)  # noqa: DTZ001 - that is the point
    last = Period.between(None, None)

    assert last.begins_at < now() - timedelta(days=28) < now() < last.ends_at
    assert Period.between(None, ends_at) == Period(
        datetime(2026, 10, 22, tzinfo=timezone.utc), datetime(2026, 11, 21, tzinfo=timezone.utc)
    )


@pytest.fixture
async def admin(settings: Settings) -> AsyncIterator[AsyncClient]:
    """Access is open: whoever is on this machine."""
    parts = put_together(replace(settings, access=Access.OPEN, open_plan="free"))
    app: Any = app_of(parts)
    transport = ASGITransport(app=app, client=("127.0.0.1", 50000))
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1:8190/api/v1") as admin:
        yield admin
    await close(parts)


@both_databases
async def test_everybodys_usage_comes_as_a_file(
    admin: AsyncClient,
    add_somebody: AddSomebody,
    add_group: AddGroup,
    use_up: UseUp,
    monkeypatch: pytest.MonkeyPatch,
):
    """By person or by group, by name, also those that used nothing; a name is never a formula. Read in pages."""
    monkeypatch.setattr(usage_module, "PAGE", 2)
    ada, evil = await add_somebody("Ada, Countess"), await add_somebody("=HYPERLINK(1)")
    group = await add_group("Chess", ada, evil)
    await use_up(ada, group, at=FIRST, took_ms=1500)
    await use_up(ada, group, at=FIRST, state="cancelled")
    during = {"from": "2026-11-20T00:00:00Z", "to": "2026-11-22T00:00:00Z"}
    answer = await admin.get("/admin/usage.csv", params=during)
    of_groups = await admin.get("/admin/usage.csv", params={**during, "by": "group"})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"] == 'attachment; filename="usage-by-person.csv"'
    [head, *rows] = read(answer.text)
    assert head == ["person", "id", "plan", "submitted", "generations", "gpu_seconds"]
    assert [row for row in rows if row[0] != "local"] == [
        ["'=HYPERLINK(1)", str(evil), "free", "0", "0", "0.0"],
        ["Ada, Countess", str(ada), "free", "2", "1", "1.5"],
    ]
    assert read(of_groups.text)[1:] == [["Chess", str(group), "2", "2", "1", "1.5"]]


async def test_one_asks_for_ones_own(admin: AsyncClient):
    """With what cannot be asked told by its field."""
    me = await admin.get("/me")
    quota, usage = await admin.get("/quota"), await admin.get("/usage", params={"by": "state"})
    wrong = await admin.get("/usage", params={"from": "2026-11-22T00:00:00Z", "to": "2026-11-21T00:00:00Z"})

    assert quota.json()["plan"] == me.json()["plan"] == "free"
    assert (usage.json()["by"], usage.json()["items"]) == ("state", [])
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "to")
    assert (await admin.get("/usage", params={"by": "colour"})).status_code == 400


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))
