"""What a list of generations can be narrowed to."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from integration.backends import both_databases

from .conftest import WORKFLOW, Client

pytestmark = both_databases

FOX = {"prompt": "A red Fox", "checkpoint": "fox.safetensors", "loras": [{"name": "snow.safetensors"}]}
SHIP = {"prompt": "a ship", "negative_prompt": "100% fog", "checkpoint": "sea.safetensors"}


@pytest.fixture
async def filled(client: Client) -> Client:
    """Three generations: a fox with tags, a ship with a title, and a workflow that says nothing of itself."""
    await submit(client, parameters=FOX, tags=["animal", 'the "red" one'])
    await submit(client, parameters=SHIP, title="Harbour")
    await submit(client, workflow=WORKFLOW, title="Nothing")
    return client


async def submit(client: Client, **submission: Any) -> dict[str, Any]:
    response = await client.post("/api/v1/generations", json=submission)
    assert response.status_code == 202, response.text
    generation: dict[str, Any] = response.json()
    return generation


async def numbers(client: Client, **params: Any) -> list[int]:
    response = await client.get("/api/v1/generations", params=params)
    assert response.status_code == 200, response.text
    return [item["number"] for item in response.json()["items"]]


CONDITIONS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [3, 2, 1]),
    ({"checkpoint": "fox.safetensors"}, [1]),
    ({"checkpoint": "fox"}, []),
    ({"lora": "snow.safetensors"}, [1]),
    ({"lora": "snow"}, []),
    ({"tag": "animal"}, [1]),
    ({"tag": 'the "red" one'}, [1]),
    ({"tag": "red"}, []),
    ({"q": "fox RED"}, [1]),
    ({"q": "harbour"}, [2]),
    ({"q": "100%"}, [2]),
    ({"q": "1_0"}, []),
    ({"q": "fox ship"}, []),
    ({"q": " "}, [3, 2, 1]),
    ({"state": ["pending", "lost"]}, [3, 2, 1]),
    ({"state": "completed"}, []),
    ({"favourite": "true"}, []),
    ({"favourite": "false", "tag": "animal"}, [1]),
    ({"trashed": "true"}, []),
]


async def test_a_list_shows_what_was_asked_for(filled: Client):
    """Names are whole names, words may stand anywhere, and several conditions all hold."""
    for params, expected in CONDITIONS:
        assert await numbers(filled, **params) == expected, params


async def test_a_list_is_narrowed_to_a_span_of_time(filled: Client):
    """`from` is in it, `to` is not; a time without a zone is in UTC."""
    created = [item["created_at"] for item in (await filled.get("/api/v1/generations")).json()["items"]]

    assert await numbers(filled, **{"from": created[1], "to": created[0]}) == [2]
    assert await numbers(filled, to=created[2]) == []
    naive = (datetime.now(timezone.utc) + timedelta(hours=1)).replace(tzinfo=None).isoformat()
    assert await numbers(filled, to=naive) == [3, 2, 1]


async def test_a_narrowed_list_is_paged_like_the_whole_one(filled: Client):
    """The cursor goes on where the page ended, whatever the conditions leave out."""
    seen, cursor = [], None
    while True:
        params: dict[str, Any] = {"q": "a", "limit": 1, **({"cursor": cursor} if cursor else {})}
        page = (await filled.get("/api/v1/generations", params=params)).json()
        seen += [item["number"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == [2, 1]


async def test_a_time_that_cannot_be_read_is_told_by_its_field(client: Client):
    """As every other field is, with a code for programs."""
    (error,) = (await client.get("/api/v1/generations", params={"from": "yesterday"})).json()["errors"]

    assert (error["field"], error["code"]) == ("from", "wrong_type")


async def test_a_condition_that_means_nothing_is_refused(client: Client):
    """A list that silently shows something else would mislead."""
    for params in ({"from": "yesterday"}, {"from": "2"}, {"parent_id": "7"}, {"state": "asleep"}, {"q": "x" * 501}):
        response = await client.get("/api/v1/generations", params=params)

        assert (response.status_code, response.json()["code"]) == (400, "invalid_request"), params
