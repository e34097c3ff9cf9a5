"""What somebody waits for, listed in the order in which they will have it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fakes.people import somebody
from integration.backends import both_databases

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.generations.submissions import Request
from sidecar.identity import uuid7
from sidecar.parts import Parts

from .conftest import WORKFLOW, Client

PATH = "/api/v1/generations?state=pending&sort=turn"


async def add(parts: Parts, owner_id: UUID = LOCAL_OWNER_ID, **said: Any) -> UUID:
    request = Request(id=uuid7(), owner_id=owner_id, source="page", workflow=WORKFLOW, **said)
    return (await parts.admission.admit(request)).id


@both_databases
async def test_it_is_in_the_order_of_turns_page_by_page(idle_parts: Parts):
    """Higher priorities first, then in the order of submission; what goes in front is first of all."""
    bob = uuid7()
    async with idle_parts.database.writing() as session:
        session.add(somebody(bob))
    batch = [await add(idle_parts, priority=-10) for _ in range(3)]
    by_hand = [await add(idle_parts) for _ in range(3)]
    in_front = await add(idle_parts, front=True)
    await add(idle_parts, bob)
    pages = [await idle_parts.history.waiting(LOCAL_OWNER_ID, None, limit=2)]
    while cursor := pages[-1].next_cursor:
        pages.append(await idle_parts.history.waiting(LOCAL_OWNER_ID, None, limit=2, cursor=cursor))
    listed = [item for page in pages for item in page.items]
    places = [item.place or 0 for item in listed]

    assert [len(page.items) for page in pages] == [2, 2, 2, 1]
    assert [item.id for item in listed] == [in_front, *by_hand, *batch]
    assert places == sorted(places)


async def test_nothing_else_is_sorted_so(client: Client):
    """What has ended has no turn; whoever asks for it hears so."""
    for path in ("/api/v1/generations?sort=turn", f"{PATH}&state=running", f"{PATH}&q=fox"):
        refused = await client.get(path)
        assert refused.status_code == 400
        assert [error["field"] for error in refused.json()["errors"]] == ["sort"]

    await client.post("/api/v1/generations", json={"workflow": WORKFLOW})
    (waiting,) = (await client.get(PATH)).json()["items"]
    assert waiting["waiting"]["reason"] == {"code": "no_instance", "facts": {}}
    assert waiting["waiting"]["why"] == "No ComfyUI can work now. It waits until one can."
