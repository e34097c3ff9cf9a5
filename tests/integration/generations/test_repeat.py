"""The same again, or nearly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sidecar.identity import uuid7

from .conftest import PAIRED, WORKFLOW, Client

GOLDEN = Path(__file__).parents[2] / "unit" / "workflows" / "golden"
PARAMETERS: dict[str, Any] = {
    "prompt": "a red fox",
    "negative_prompt": "blurry",
    "checkpoint": "fox.safetensors",
    "loras": [{"name": "snow.safetensors", "strength_model": 0.5}],
    "width": 64,
    "height": 64,
    "seed": 7,
}


async def submit(client: Client, **submission: Any) -> dict[str, Any]:
    response = await client.post("/api/v1/generations", json=submission)
    assert response.status_code == 202, response.text
    generation: dict[str, Any] = response.json()
    return generation


async def repeat(client: Client, generation: dict[str, Any], **body: Any) -> Any:
    return await client.post(f"/api/v1/generations/{generation['id']}/repeat", json=body)


async def workflow(client: Client, generation: dict[str, Any]) -> dict[str, Any]:
    stored: dict[str, Any] = (await client.get(f"/api/v1/generations/{generation['id']}/workflow")).json()
    return stored


async def show(client: Client, generation: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = (await client.get(f"/api/v1/generations/{generation['id']}")).json()
    return shown


async def test_a_repeat_is_the_same_workflow_with_a_parent(client: Client):
    """Title and tags come along; the first one counts its repeats and says that it is newer."""
    first = await submit(client, parameters=PARAMETERS, title="Fox", tags=["snow"])
    response = await repeat(client, first)
    second = response.json()

    assert response.status_code == 202
    assert await workflow(client, second) == await workflow(client, first)
    assert (second["title"], second["tags"], second["parent_id"]) == ("Fox", ["snow"], first["id"])
    after = await show(client, first)
    assert (after["child_count"], after["parent_id"]) == (1, None)
    assert after["updated_at"] > first["updated_at"]
    repeats = await client.get("/api/v1/generations", params={"parent_id": first["id"]})
    assert [item["id"] for item in repeats.json()["items"]] == [second["id"]]


async def test_anything_can_be_different_where_it_was_submitted_by_parameters(client: Client):
    """Also how many LoRAs there are; what is not named stays."""
    first = await submit(client, parameters=PARAMETERS)
    loras = [{"name": "a.safetensors"}, {"name": "b.safetensors", "strength_model": -1}]
    changes = {"prompt": "a blue fox", "loras": loras, "width": 128, "seed": 2**64 - 1}
    second = (await repeat(client, first, parameters=changes, title="Blue", tags=[])).json()

    assert (second["prompt"], second["negative_prompt"], second["title"]) == ("a blue fox", "blurry", "Blue")
    assert [lora["name"] for lora in second["loras"]] == ["a.safetensors", "b.safetensors"]
    assert (second["width"], second["height"], second["sampler"]["seed"]) == (128, 64, 2**64 - 1)


async def test_a_random_seed_is_a_new_one_each_time(client: Client):
    """Small enough for a page to show it exactly."""
    first = await submit(client, parameters=PARAMETERS)
    seeds = [(await repeat(client, first, parameters={"seed": "random"})).json()["sampler"]["seed"] for _ in range(3)]

    assert len({7, *seeds}) == 4
    assert max(seeds) < 2**53


async def test_a_workflow_is_changed_where_it_says_so_itself(client: Client):
    """Nothing else in it changes, and its drawing shows what will run."""
    graph = json.loads((GOLDEN / "core_workflow_of_the_page.json").read_text(encoding="utf-8"))["workflow"]
    sampler = next(node_id for node_id, node in graph.items() if node["class_type"] == "KSampler")
    drawn = {"id": int(sampler), "widgets_values": [graph[sampler]["inputs"]["seed"], "fixed", 20]}
    body = {"id": str(uuid7()), "workflow": graph, "extra_data": {"extra_pnginfo": {"workflow": {"nodes": [drawn]}}}}
    await client.post("/internal/prompts", json=body, auth=PAIRED)
    second = (await repeat(client, body, parameters={"seed": 99})).json()
    stored = await workflow(client, second)
    graph[sampler]["inputs"]["seed"] = 99

    assert stored["workflow"] == graph
    assert stored["ui_workflow"] == {"nodes": [{"id": int(sampler), "widgets_values": [99, "fixed", 20]}]}


async def test_all_that_cannot_be_different_is_told_at_once(client: Client):
    """What stands nowhere in this workflow, and what cannot be meant; nothing is submitted."""
    first = await submit(client, workflow=WORKFLOW)
    nowhere = await repeat(client, first, parameters={"seed": 1, "prompt": "a fox"})
    impossible = await repeat(client, first, parameters={"width": 65, "steps": 0, "checkpoint": "../x"})
    unknown = await repeat(client, first, parameters={"colour": 3})

    assert [response.status_code for response in (nowhere, impossible, unknown)] == [400] * 3
    assert [(error["field"], error["code"]) for error in nowhere.json()["errors"]] == [
        ("prompt", "not_located"),
        ("seed", "not_located"),
    ]
    assert {error["field"] for error in impossible.json()["errors"]} == {"width", "steps", "checkpoint"}
    assert (await show(client, first))["child_count"] == 0


async def test_what_is_not_there_cannot_be_repeated(client: Client):
    """A 404, as for everything else that is not there."""
    response = await repeat(client, {"id": str(uuid7())})

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
