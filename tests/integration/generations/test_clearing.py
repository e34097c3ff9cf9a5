"""Everything that somebody has waiting, taken back at once."""

from __future__ import annotations

from uuid import UUID

import pytest

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.accounts.people import NewPerson
from sidecar.generations import clearing
from sidecar.generations.models import Generation, move
from sidecar.generations.states import GenerationState
from sidecar.generations.submissions import Request
from sidecar.identity import now, uuid7
from sidecar.parts import Parts

from .conftest import PAIRED, WORKFLOW, Client, submit


async def states(parts: Parts, ids: list[UUID]) -> list[str]:
    async with parts.database.reading() as session:
        return [(await session.get_one(Generation, each)).state for each in ids]


async def test_however_much_waits_it_is_taken_back(idle_parts: Parts, monkeypatch: pytest.MonkeyPatch):
    """Some at a time, oldest first; what came after the first of these, and what others have waiting, stays."""
    monkeypatch.setattr(clearing, "CLEARED_AT_ONCE", 2)
    bob = await idle_parts.accounts.people.add(NewPerson("bob"), COMMAND_LINE)
    bobs = Request(id=uuid7(), owner_id=bob.id, source="page", workflow=WORKFLOW)
    await idle_parts.admission.admit(bobs)
    ids = [await submit(idle_parts) for _ in range(3)]
    first = await idle_parts.clearing.clear(LOCAL_OWNER_ID)
    after_the_first = await states(idle_parts, ids)
    later = await submit(idle_parts)
    second = await idle_parts.clearing.clear(LOCAL_OWNER_ID, first.through)

    assert (first.more, second.more) == (True, False)
    assert after_the_first == ["cancelled", "cancelled", "pending"]
    assert await states(idle_parts, [*ids, later, bobs.id]) == ["cancelled"] * 3 + ["pending"] * 2


async def test_what_was_let_go_while_somebody_cleared_is_taken_back(idle_parts: Parts):
    """It was seen waiting, and so it was meant. What was not seen waiting goes on, and so does somebody else's."""
    bob = await idle_parts.accounts.people.add(NewPerson("bob"), COMMAND_LINE)
    bobs = Request(id=uuid7(), owner_id=bob.id, source="page", workflow=WORKFLOW)
    await idle_parts.admission.admit(bobs)
    seen, unseen = [await submit(idle_parts) for _ in range(2)]
    await let_go(idle_parts, seen, unseen, bobs.id)
    cleared = await idle_parts.clearing.clear(LOCAL_OWNER_ID, shown=[seen, bobs.id])

    assert not cleared.more
    async with idle_parts.database.reading() as session:
        asked = [(await session.get_one(Generation, each)).cancel_requested for each in (seen, unseen, bobs.id)]
    assert asked == [True, False, False]


async def let_go(parts: Parts, *ids: UUID) -> None:
    async with parts.database.writing() as session:
        for each in ids:
            move(session, await session.get_one(Generation, each), GenerationState.SUBMITTED, at=now())


async def test_the_pack_may_clear(client: Client):
    """In open access everything is the local owner's, whomever it names."""
    answer = await client.post("/api/v1/generations", json={"workflow": WORKFLOW})
    path = "/internal/prompts/clear"
    cleared = await client.post(path, json={"owner_id": str(uuid7())}, auth=PAIRED)
    generation = await client.get(f"/api/v1/generations/{answer.json()['id']}")

    assert cleared.json() == {"through": generation.json()["number"], "more": False}
    assert generation.json()["state"] == "cancelled"
