"""What would become of a submission, told before there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from fakes.people import somebody
from integration.conftest import close
from sqlalchemy import func, select

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.generations.models import Generation
from sidecar.generations.submissions import Request
from sidecar.identity import now, uuid7
from sidecar.instances.models import Connection, Instance
from sidecar.limits.estimate import learn
from sidecar.limits.ledger import UsageEntry
from sidecar.limits.models import Plan
from sidecar.limits.paces import Sample
from sidecar.operations.schemas import QueuePatch
from sidecar.parts import Parts, put_together
from sidecar.settings import read_settings

from .conftest import FIRST, WORKFLOW

ADA = UUID(int=11)


@pytest.fixture
async def parts(tmp_path: Path, backend: dict[str, str]) -> AsyncIterator[Parts]:
    """Somebody whose plan lets her make one each day, in 60 GPU seconds, and refuses more; each takes about 6 s."""
    parts = put_together(read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_ACCESS": "accounts", **backend}))
    async with parts.database.writing() as session:
        upstairs = Instance(id=FIRST, name="upstairs", url="http://127.0.0.1:1", created_at=now())
        upstairs.state, upstairs.since = Connection.CONNECTED.value, now()
        session.add(upstairs)
        limits = {
            "generations_per_day": 1,
            "gpu_seconds_per_day": 60,
            "over_limit": "reject",
            "weight": 1.0,
            "sensitivity": "medium",
        }
        session.add(Plan(name="one", title="One", updated_at=now(), **limits))
        await session.flush()
        session.add(somebody(ADA, plan="one"))
        for work in (1.0, 100.0) * 10:
            await learn(session, FIRST, "", Sample(work, 6.0))
    yield parts
    await close(parts)


def one() -> Request:
    return Request(uuid7(), ADA, "api", WORKFLOW)


async def test_it_says_how_long_it_takes_and_when_it_would_begin_and_end(parts: Parts):
    """With what it would take of the budgets of a day, and from what that is known."""
    told = await parts.forecasts.of(one(), address=None)

    assert told.outcome == "enters"
    assert told.seconds == pytest.approx(6.0)
    assert told.low_s < 6.0 < told.high_s
    assert told.basis == "20 generations like this on upstairs."
    assert {part.limit: part.part for part in told.of_day} == {"generations_per_day": 1.0, "gpu_seconds_per_day": 0.1}
    assert told.starts_at is not None
    assert told.ends_at is not None
    assert 5 <= (told.ends_at.likely - told.starts_at.likely).total_seconds() <= 7


async def test_it_says_that_nothing_of_the_kind_was_made_yet(parts: Parts):
    """A video of three hundred frames, where there were pictures: it is a guess, and said to be one."""
    video = {"1": {"class_type": "EmptyVideo", "inputs": {"width": 1024, "height": 1024, "length": 300}}}
    told = await parts.forecasts.of(Request(uuid7(), ADA, "api", {**WORKFLOW, **video}), address=None)

    assert told.basis == (
        "20 generations of its kind on upstairs; each of them asked for less than this, so it is a guess."
    )
    assert told.high_s > 1.5 * told.seconds


async def test_nothing_is_written_or_taken(parts: Parts):
    """However often somebody asks: there is as much room as before."""
    for address in (None, None, "203.0.113.7"):
        assert (await parts.forecasts.of(one(), address=address)).outcome == "enters"
    async with parts.database.reading() as session:
        written = [await session.scalar(select(func.count()).select_from(table)) for table in (Generation, UsageEntry)]

    assert written == [0, 0]


async def test_it_says_what_would_be_refused_and_why(parts: Parts):
    """In the words in which the submission would be."""
    await parts.admission.admit(one())
    told = await parts.forecasts.of(one(), address=None)

    assert told.outcome == "refused"
    assert told.refusal is not None
    assert told.refusal.code == "limit_reached"
    assert told.refusal.retry_after_s is not None
    assert (told.starts_at, told.ends_at) == (None, None)


async def test_it_says_until_when_it_would_be_held(parts: Parts):
    """Where the plan lets people wait."""
    async with parts.database.writing() as session:
        (await session.get_one(Plan, "one")).over_limit = "wait"
    parts.plans.tell()
    await parts.admission.admit(one())
    told = await parts.forecasts.of(one(), address=None)

    assert told.outcome == "held"
    assert told.held_until is not None
    assert told.why
    assert told.starts_at is not None
    assert told.starts_at.earliest >= told.held_until


async def test_it_says_why_nothing_begins(parts: Parts):
    """It would enter, and wait for an administrator."""
    await parts.queue_desk.change(QueuePatch(paused=True, reason="a new card"), COMMAND_LINE)
    await parts.places.catch_up()
    told = await parts.forecasts.of(one(), address=None)

    assert (told.outcome, told.starts_at) == ("enters", None)
    assert told.why == "The queue is paused: a new card"
