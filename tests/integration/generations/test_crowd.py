"""Many who submit at the same moment."""

from __future__ import annotations

import asyncio
from uuid import UUID

from integration.backends import both_databases
from sqlalchemy import event

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.generations.models import Generation
from sidecar.generations.schemas import Submission
from sidecar.generations.submissions import Request
from sidecar.identity import uuid7
from sidecar.parts import Parts

from .conftest import WORKFLOW

pytestmark = both_databases

PEOPLE = 40
STATEMENTS_AT_MOST = 8


def request_of(owner_id: UUID = LOCAL_OWNER_ID) -> Request:
    return Request(id=uuid7(), owner_id=owner_id, source="page", workflow=WORKFLOW)


async def test_who_comes_at_the_same_moment_shares_a_transaction(idle_parts: Parts):
    """
    Numbered in the order in which they came, each answered after the commit.
    """
    commits: list[object] = []
    event.listen(idle_parts.database.engine.sync_engine, "commit", commits.append)
    requests = [request_of() for _ in range(PEOPLE)]
    admitted = await asyncio.gather(*map(idle_parts.admission.admit, requests))

    assert [generation.id for generation in admitted] == [request.id for request in requests]
    assert [generation.number for generation in admitted] == list(range(1, PEOPLE + 1))
    assert len(commits) < PEOPLE / 4


async def test_whoever_comes_alone_costs_the_database_few_statements(idle_parts: Parts):
    """
    Each of them is a tenth of a submission's time, with SQLAlchemy around it; a new id is in no table to look it up in.
    """
    submission = Submission(workflow=WORKFLOW)
    for _ in range(2):  # what is remembered is read at the first time
        said: list[str] = []
        event.listen(
            idle_parts.database.engine.sync_engine,
            "before_cursor_execute",
            lambda _connection, _cursor, statement, *_, said=said: said.append(statement),
        )
        request = await idle_parts.admission.read_submission(submission, LOCAL_OWNER_ID)
        await idle_parts.admission.admit(request)

    assert len([statement for statement in said if "pg_advisory" not in statement]) <= STATEMENTS_AT_MOST


async def test_one_who_cannot_be_let_in_holds_back_nobody(idle_parts: Parts):
    """
    Whatever the reason: here a person who does not exist, which the database refuses in the middle of all others.
    """
    requests = [request_of(), request_of(UUID(int=99)), request_of()]
    outcomes = await asyncio.gather(*map(idle_parts.admission.admit, requests), return_exceptions=True)

    assert [isinstance(outcome, Generation) for outcome in outcomes] == [True, False, True]
    async with idle_parts.database.reading() as session:
        assert [await session.get(Generation, request.id) is not None for request in requests] == [True, False, True]


async def test_each_place_is_told_as_if_everybody_had_come_alone(idle_parts: Parts):
    """
    Those who came together stand in line one behind the other.
    """
    admitted = await asyncio.gather(*(idle_parts.admission.admit(request_of()) for _ in range(PEOPLE)))
    views = await asyncio.gather(*map(idle_parts.history.view, admitted))

    assert [view.place for view in views] == list(range(PEOPLE))
