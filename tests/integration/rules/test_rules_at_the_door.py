"""Rules hold at every door, from the moment on at which they are made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes.comfyui import PAIRING_SECRET
from fakes.moderation_service import SECRET, BrokenModeration, ModerationService
from fakes.paired import AsPack
from fakes.peers import heard_from
from litestar import Litestar
from litestar.testing import AsyncTestClient

from sidecar.app import create_app
from sidecar.identity import uuid7
from sidecar.settings import read_settings

Client = AsyncTestClient[Litestar]
API = "/api/v1"


@pytest.fixture
async def client(tmp_path: Path, backend: dict[str, str]) -> AsyncIterator[Client]:
    """A sidecar in open access whose ComfyUI is away, with the plan that knows bounds."""
    async with started(tmp_path, backend) as client:
        yield client


@asynccontextmanager
async def started(tmp_path: Path, backend: dict[str, str], **more: str) -> AsyncIterator[Client]:
    settings = read_settings(
        {
            **backend,
            **more,
            "GENONAUT_DATA": str(tmp_path),
            "GENONAUT_COMFYUI_URL": "http://127.0.0.1:9",
            "GENONAUT_PAIRING_SECRET": PAIRING_SECRET,
            "GENONAUT_OPEN_PLAN": "premium",
        }
    )
    app = heard_from("127.0.0.1", create_app(settings))
    async with AsyncTestClient(app, base_url="http://127.0.0.1:8190", raise_server_exceptions=False) as client:
        yield client


def saying(text: str, **sized: int) -> dict[str, Any]:
    size = {"width": 64, "height": 64, "batch_size": 1, **sized}
    return {
        "1": {"class_type": "EmptyImage", "inputs": {**size, "color": 0}},
        "2": {"class_type": "Note", "inputs": {"text": text}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "test"}},
    }


async def make(client: Client, **rule: Any) -> dict[str, Any]:
    wanted = {"kind": "content", "name": "No weapons", "definition": {"words": ["bomb"]}, **rule}
    answer = await client.post(f"{API}/admin/rules", json=wanted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def submit(client: Client, workflow: dict[str, Any], **more: Any) -> Any:
    return await client.post(f"{API}/generations", json={"workflow": workflow, **more})


async def hits(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"{API}/admin/rule-hits")).json()["items"]
    return found


async def test_what_goes_against_a_rule_is_refused_by_every_door(client: Client) -> None:
    """Programs, ComfyUI's page and repeats; with the rule's name and the place, never with what was looked for."""
    generation = (await submit(client, saying("a bomb"))).json()
    rule = await make(client)
    prompt = {"id": str(uuid7()), "workflow": saying("a b0mb")}

    by_api = await submit(client, saying("a b0mb"))
    by_page = await client.post("/internal/prompts", json=prompt, auth=AsPack(PAIRING_SECRET))
    by_repeat = await client.post(f"{API}/generations/{generation['id']}/repeat", json={})
    by_title = await submit(client, saying("a tree"), title="Bomb")

    for answer in (by_api, by_page, by_repeat, by_title):
        assert (answer.status_code, answer.json()["code"]) == (422, "content_refused")
        assert "“No weapons”" in answer.json()["detail"]
    assert by_api.json()["errors"][0]["field"] == "2.text"
    assert {(hit["rule_id"], hit["action"], hit["generation_id"], hit["text"]) for hit in await hits(client)} == {
        (rule["id"], "refuse", None, None)
    }


async def test_a_rule_holds_from_the_next_submission_on_and_until_it_is_switched_off(client: Client) -> None:
    """Without a restart."""
    rule = await make(client)
    refused = await submit(client, saying("a bomb"))
    await client.patch(f"{API}/admin/rules/{rule['id']}", json={"is_active": False})
    admitted = await submit(client, saying("a bomb"))
    await client.patch(f"{API}/admin/rules/{rule['id']}", json={"is_active": True})
    again = await submit(client, saying("a bomb"))
    await client.delete(f"{API}/admin/rules/{rule['id']}")

    assert [answer.status_code for answer in (refused, admitted, again)] == [422, 202, 422]
    assert (await submit(client, saying("a bomb"))).status_code == 202


async def test_what_is_only_noted_comes_in_and_is_written_down_with_its_generation(client: Client) -> None:
    """With a hash of the text, by which it is known again."""
    await make(client, action="log")

    generation = (await submit(client, saying("a bomb"))).json()

    (hit,) = await hits(client)
    assert (hit["generation_id"], hit["field"], hit["action"]) == (generation["id"], "2.text", "log")
    assert len(hit["text_hash"]) == 64


async def test_what_is_flagged_comes_in_and_waits_to_be_looked_at(client: Client) -> None:
    """Its owner sees that."""
    await make(client, action="flag")

    generation = (await submit(client, saying("a bomb"))).json()
    reviews = (await client.get(f"{API}/admin/reviews")).json()["items"]

    assert generation["review"] == "waiting"
    assert [review["generation_id"] for review in reviews] == [generation["id"]]


async def test_the_same_refusal_is_written_down_once_a_minute(client: Client) -> None:
    """Whoever tries a thousand times does not fill the disk."""
    await make(client)
    for _ in range(3):
        await submit(client, saying("a bomb"))

    assert len(await hits(client)) == 1


async def test_a_rule_of_another_plan_or_of_a_higher_level_concerns_nobody_here(client: Client) -> None:
    """Premium's people are looked at with medium sensitivity."""
    await make(client, plan="free")
    await make(client, level="high")

    assert (await submit(client, saying("a bomb"))).status_code == 202


async def test_the_bounds_of_a_plan_hold_for_workflows(client: Client) -> None:
    """All that is too large is told together, with what is allowed."""
    answer = await submit(client, saying("a tree", width=8192, height=8192, batch_size=17))

    assert (answer.status_code, answer.json()["code"]) == (422, "graph_refused")
    assert [error["code"] for error in answer.json()["errors"]] == ["pixels_at_most", "batch_at_most"]
    assert await hits(client) == []


async def test_graph_rules_name_what_may_not_be_used(client: Client) -> None:
    """Which node, and by which rule."""
    await make(client, kind="graph", name="No notes", definition={"refused_nodes": ["No*"]})

    answer = await submit(client, saying("a tree"))

    assert answer.json()["code"] == "graph_refused"
    assert answer.json()["detail"] == (
        "These nodes may not be used here: Note. The rule “No notes” of this place says so."
    )


async def test_a_dry_run_tells_what_would_be_and_writes_nothing_down(client: Client) -> None:
    """With the rules that are there, and with one that is not there yet."""
    await make(client, action="flag")
    tried = {"kind": "graph", "name": "Trial", "definition": {"refused_nodes": ["Note"]}}

    flagged = (await client.post(f"{API}/admin/rules/dry-run", json={"text": "a bomb"})).json()
    refused = (
        await client.post(f"{API}/admin/rules/dry-run", json={"workflow": saying("a tree"), "rule": tried})
    ).json()
    strict = await client.post(f"{API}/admin/rules/dry-run", json={"text": "a bomb", "sensitivity": "off"})

    assert (flagged["verdict"], [found["rule_name"] for found in flagged["found"]]) == ("flagged", ["No weapons"])
    assert (refused["verdict"], [found["rule_name"] for found in refused["found"]]) == ("refused", ["Trial"])
    assert strict.json() == {"verdict": "allowed", "found": []}
    assert await hits(client) == []


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ({"definition": {}}, ["definition.words"]),
        ({"definition": {"words": ["*"], "patterns": ["(?=a)"]}}, ["definition.words[0]", "definition.patterns[0]"]),
        ({"definition": {"words": "bomb", "wehre": "prompt"}}, ["definition.words", "definition.wehre"]),
        ({"kind": "graph", "definition": {"pixels_at_most": 0}}, ["definition.pixels_at_most"]),
    ],
)
async def test_a_rule_that_cannot_be_used_is_not_made(client: Client, rule: dict[str, Any], fields: list[str]) -> None:
    """All that is wrong with it is told at once."""
    wanted = {"kind": "content", "name": "Broken", **rule}

    answer = await client.post(f"{API}/admin/rules", json=wanted)

    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, fields)


async def test_the_rules_that_are_shipped_are_switched_off(client: Client) -> None:
    """What is right for one place is wrong for another; each of them can be switched on."""
    rules = (await client.get(f"{API}/admin/rules")).json()["items"]

    assert rules
    assert not any(rule["is_active"] for rule in rules)
    for rule in rules:
        answer = await client.patch(f"{API}/admin/rules/{rule['id']}", json={"is_active": True})
        assert answer.status_code == 200, answer.text
    assert (await submit(client, saying("a lighthouse in the evening, gorgeous light"))).status_code == 202


async def test_a_moderation_service_is_asked_before_anything_comes_in(tmp_path: Path, backend: dict[str, str]) -> None:
    """What it refuses is not written, what it flags waits to be looked at, and both stand among the hits."""
    service = ModerationService()
    with service.served_apart() as url:
        asked = {"GENONAUT_MODERATION_URL": url, "GENONAUT_MODERATION_SECRET": SECRET}
        async with started(tmp_path, backend, **asked) as client:
            refused = await submit(client, saying("refuse this"))
            flagged = (await submit(client, saying("flag this"))).json()
            allowed = (await submit(client, saying("a cat"), title="Mimi")).json()
            too_long = await submit(client, saying("refuse this " * 20_000))
            noted = await hits(client)

    assert (refused.status_code, refused.json()["code"]) == (422, "content_refused")
    assert "not in this house" in refused.json()["detail"]
    assert (too_long.status_code, len(service.asked)) == (422, 3)  # else it would be let in when it takes too long
    assert (flagged["review"], allowed["review"]) == ("waiting", None)
    told = [(hit["rule_name"], hit["action"], hit["rule_id"], hit["generation_id"]) for hit in noted]
    assert told == [
        ("moderation service", "flag", None, flagged["id"]),
        ("moderation service", "refuse", None, None),
    ]
    assert {"text": "Mimi", "negative": False} in service.asked[2]["texts"]


async def test_while_the_moderation_service_is_away_nothing_comes_in_where_the_setting_says_so(
    tmp_path: Path, backend: dict[str, str]
) -> None:
    """With the moment to try again. What a rule of this place refuses is refused without asking."""
    service = BrokenModeration(500, b"")
    with service.served_apart() as url:
        asked = {"GENONAUT_MODERATION_URL": url, "GENONAUT_MODERATION_SECRET": SECRET}
        asked["GENONAUT_MODERATION_ON_FAILURE"] = "refuse"
        async with started(tmp_path, backend, **asked) as client:
            away = await submit(client, saying("a cat"))
            await make(client)
            refused = await submit(client, saying("a bomb"))

    assert (away.status_code, away.json()["code"], away.headers["Retry-After"]) == (503, "moderation_away", "10")
    assert (refused.status_code, len(service.asked)) == (422, 1)
