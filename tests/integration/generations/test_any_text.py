"""Whatever somebody writes into a workflow can be stored, on either database."""

from __future__ import annotations

from integration.backends import both_databases

from .conftest import Client

pytestmark = both_databases

ODD = "a\x00b \U0001f600 \u202e"  # PostgreSQL's texts cannot hold a NUL
WORKFLOW = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x" * 5000}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": ODD}},
    "3": {
        "class_type": "KSampler",
        "inputs": {"model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0], "latent_image": ["4", 0]},
    },
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "5": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
}


async def test_odd_texts_are_stored_and_the_workflow_stays_as_it_was(client: Client):
    """What is read out of it for lists and search may be shortened; what runs is never changed."""
    submitted = await client.post("/api/v1/generations", json={"workflow": WORKFLOW, "title": ODD, "tags": [ODD]})
    assert submitted.status_code == 202, submitted.text
    stored = await client.get(f"/api/v1/generations/{submitted.json()['id']}/workflow")

    assert stored.json()["workflow"] == WORKFLOW


async def test_odd_texts_can_be_looked_for(client: Client):
    """A question that no generation answers is no mistake of the sidecar."""
    answers = [
        await client.get("/api/v1/generations", params=params)
        for params in ({"q": ODD}, {"tag": ODD}, {"checkpoint": ODD}, {"lora": ODD})
    ]

    assert {answer.status_code for answer in answers} <= {200, 400}
