"""What people change of their generations, one by one and many at once."""

from __future__ import annotations

from typing import Any

from integration.backends import both_databases, every_backend

from sidecar.identity import uuid7

from .conftest import WORKFLOW, Client


async def submit(client: Client, **submission: Any) -> dict[str, Any]:
    response = await client.post("/api/v1/generations", json={"workflow": WORKFLOW, **submission})
    generation: dict[str, Any] = response.json()
    return generation


async def change(client: Client, generation: dict[str, Any], **patch: Any) -> dict[str, Any]:
    response = await client.patch(f"/api/v1/generations/{generation['id']}", json=patch)
    changed: dict[str, Any] = response.json()
    return changed


async def in_bulk(client: Client, action: str, ids: list[str], **more: Any) -> dict[str, Any]:
    response = await client.post("/api/v1/generations/bulk", json={"action": action, "ids": ids, **more})
    assert response.status_code == 200, response.text
    return {outcome["id"]: outcome for outcome in response.json()["outcomes"]}


@both_databases
async def test_title_tags_and_favourite_can_be_changed_one_at_a_time(client: Client):
    """What is left out stays as it is, and the row says that it is newer."""
    generation = await submit(client, title="Before", tags=["a"])
    renamed = await change(client, generation, title=" After ")
    loved = await change(client, generation, favourite=True)
    tagged = await change(client, generation, tags=["b", " b", "c", " "])

    assert (renamed["title"], renamed["tags"], renamed["favourite"]) == ("After", ["a"], False)
    assert (loved["title"], loved["favourite"]) == ("After", True)
    assert tagged["tags"] == ["b", "c"]
    assert generation["updated_at"] < renamed["updated_at"] < loved["updated_at"] < tagged["updated_at"]


NO_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"title": "x" * 201}, "title"),
    ({"tags": ["x"] * 21}, "tags"),
    ({"tags": ["ok", "x" * 51]}, "tags"),
    ({"favourite": "very"}, "favourite"),
    ({"prompt": "another"}, "prompt"),
]


async def test_a_change_that_cannot_be_made_names_its_field(client: Client):
    """And nothing is changed."""
    generation = await submit(client, title="Before")
    for patch, field in NO_CHANGES:
        response = await client.patch(f"/api/v1/generations/{generation['id']}", json=patch)

        assert response.status_code == 400, patch
        assert field in response.text
    assert (await client.get(f"/api/v1/generations/{generation['id']}")).json() == generation


@every_backend
async def test_many_are_cancelled_at_once_and_each_tells_its_outcome(client: Client):
    """An unknown one spoils nothing for the others; asking again changes nothing."""
    ids = [(await submit(client))["id"] for _ in range(3)]
    stranger = str(uuid7())
    first = await in_bulk(client, "cancel", [*ids, stranger])
    again = await in_bulk(client, "cancel", [*ids, stranger])

    assert [first[generation_id]["done"] for generation_id in ids] == [True] * 3
    assert (first[stranger]["done"], first[stranger]["code"]) == (False, "not_found")
    assert first == again
    assert {item["state"] for item in (await client.get("/api/v1/generations")).json()["items"]} == {"cancelled"}


async def test_many_are_trashed_and_restored_at_once(client: Client):
    """Those that have not ended stay, unless they may be cancelled."""
    ended, waiting = await submit(client), await submit(client)
    ids = [ended["id"], waiting["id"], ended["id"]]
    await in_bulk(client, "cancel", [ended["id"]])
    refused = await in_bulk(client, "trash", ids)
    trashed = await in_bulk(client, "trash", ids, cancel=True)
    restored = await in_bulk(client, "restore", ids)

    assert [outcome["code"] for outcome in refused.values()] == [None, "still_open"]
    assert [outcome["done"] for outcome in (*trashed.values(), *restored.values())] == [True] * 4
    assert len((await client.get("/api/v1/generations")).json()["items"]) == 2


@both_databases
async def test_tags_are_added_to_many_and_never_twice(client: Client):
    """Their own tags stay; too many of them are refused for that one alone."""
    first, full = await submit(client, tags=["own"]), await submit(client, tags=[str(n) for n in range(20)])
    for _ in range(2):
        outcomes = await in_bulk(client, "tag", [first["id"], full["id"]], tags=["new", "own"])

    assert (await client.get(f"/api/v1/generations/{first['id']}")).json()["tags"] == ["own", "new"]
    assert (outcomes[full["id"]]["done"], outcomes[full["id"]]["code"]) == (False, "invalid_request")


NOT_FOR_ANY: dict[str, dict[str, Any]] = {
    "tags without a tag": {"action": "tag", "ids": [str(uuid7())]},
    "nothing": {"action": "trash", "ids": []},
    "too many": {"action": "trash", "ids": [str(uuid7()) for _ in range(501)]},
    "an unknown action": {"action": "burn", "ids": [str(uuid7())]},
}


async def test_what_cannot_be_done_to_any_is_refused_as_a_whole(client: Client):
    """Before anything is done."""
    for what, body in NOT_FOR_ANY.items():
        response = await client.post("/api/v1/generations/bulk", json=body)

        assert (response.status_code, response.json()["code"]) == (400, "invalid_request"), what
