"""What the gate does with what is posted to ComfyUI."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import aiohttp
import pytest
from fakes.sidecar import PatientSidecar, StrictSidecar
from integration.pack.workflows import small_picture
from real.processes import RunningComfyUI

KEYS_OF_AN_ERROR = {"type", "message", "details", "extra_info"}


async def still_runs_prompts(comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession) -> bool:
    async with page.post(f"{comfyui.url}/prompt", json={"prompt": small_picture()}) as answer:
        prompt_id = (await answer.json())["prompt_id"]
    await sidecar.dispatch(sidecar.submissions[-1])
    return bool((await sidecar.outcome_of(prompt_id))["status"] == "completed")


@pytest.mark.parametrize("path", ["/prompt", "/api/prompt", "/%70rompt"])
async def test_a_prompt_goes_to_the_sidecar_and_not_into_the_queue(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession, path: str
) -> None:
    """However the path is written, the sidecar has the prompt, and the answer has ComfyUI's own shape."""
    body = {"prompt": small_picture(), "client_id": "browser", "extra_data": {"extra_pnginfo": {"workflow": {"a": 1}}}}
    async with page.post(comfyui.url + path, json=body) as answer:
        told = await answer.json()

    assert answer.status == 200
    assert told == {"prompt_id": told["prompt_id"], "number": 1, "node_errors": {}}
    assert sidecar.submissions == [
        {
            "id": told["prompt_id"],
            "workflow": body["prompt"],
            "extra_data": body["extra_data"],
            "client_id": "browser",
            "partial_execution_targets": None,
            "source": "page",
            "front": False,
            "address": "127.0.0.1",
        }
    ]


async def test_the_server_says_which_id_and_number_a_prompt_has(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """A repeated id is no error: it is replaced by an id of ours, a UUIDv7."""
    body = {"prompt": small_picture(), "prompt_id": "mine", "number": -1e300}
    ids = []
    for _ in range(3):
        async with page.post(f"{comfyui.url}/prompt", json=body) as answer:
            ids.append((await answer.json())["prompt_id"])

    assert len(set(ids)) == 3
    assert {uuid.UUID(prompt_id).version for prompt_id in ids} == {7}


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


ABUSES: dict[str, tuple[bytes | str, int, str]] = {
    "no JSON": ("{", 400, "invalid_json"),
    "not UTF-8": (b'{"prompt": "\xff"}', 400, "invalid_json"),
    "empty": ("", 400, "invalid_json"),
    "a list": ("[1]", 400, "invalid_request"),
    "null": ("null", 400, "invalid_request"),
    "no prompt": ("{}", 400, "no_prompt"),
    "a prompt of text": ('{"prompt": "x"}', 400, "invalid_prompt"),
    "an empty prompt": ('{"prompt": {}}', 400, "prompt_no_outputs"),
    "nodes that are none": ('{"prompt": {"1": 5}}', 400, "invalid_prompt"),
    "a node without inputs": ('{"prompt": {"1": {"class_type": "EmptyImage"}}}', 400, "invalid_prompt"),
    "an unknown node": ('{"prompt": {"1": {"class_type": "No", "inputs": {}}}}', 400, "invalid_prompt"),
    "a number that is none": ('{"prompt": {}, "number": "nan"}', 400, "invalid_number"),
    "number null": ('{"prompt": {}, "number": null}', 400, "invalid_number"),
    "NaN": ('{"prompt": {}, "number": NaN}', 400, "invalid_json"),
    "infinity within": ('{"prompt": {"1": {"class_type": "x", "inputs": {"a": 1e999}}}}', 400, "invalid_number"),
    "a client that is a list": ('{"prompt": {}, "client_id": [1]}', 400, "invalid_request"),
    "a hidden client": ('{"prompt": {}, "extra_data": {"client_id": {}}}', 400, "invalid_request"),
    "extra data of text": ('{"prompt": {}, "extra_data": "x"}', 400, "invalid_request"),
    "nested deeper than Python": (nested(200_000), 400, "invalid_json"),
    "nested deeper than a copy": ('{"prompt": ' + nested(300) + "}", 400, "nested_too_deeply"),
    "200 MB": ('{"prompt": "' + "x" * 200_000_000 + '"}', 413, "body_too_large"),
}


@pytest.mark.parametrize("abuse", ABUSES)
async def test_an_abusive_body_gets_a_clear_error_and_the_worker_lives(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession, abuse: str
) -> None:
    """Whatever is posted, the answer is JSON in ComfyUI's error shape, and the next prompt runs."""
    body, status, kind = ABUSES[abuse]
    posted = io.BytesIO(body if isinstance(body, bytes) else body.encode())
    async with page.post(f"{comfyui.url}/prompt", data=posted, headers={"Content-Type": "application/json"}) as answer:
        told = await answer.json()

    assert (answer.status, told["error"]["type"]) == (status, kind)
    assert set(told["error"]) == KEYS_OF_AN_ERROR
    assert told["error"]["message"]
    assert told["node_errors"] == {}
    assert await still_runs_prompts(comfyui, sidecar, page)


def unconnected_chain(nodes: int) -> dict[str, Any]:
    """A picture, and a chain beside it that ComfyUI's validation never looks at and its executor does."""
    chain = {
        f"c{number}": {"class_type": "ImageInvert", "inputs": {"image": [f"c{number + 1}", 0]}}
        for number in range(nodes)
    }
    return {**small_picture(), **chain}


async def test_a_workflow_that_breaks_the_executor_fails_and_the_worker_lives(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """ComfyUI's executor has no net of its own; the prompt ends as failed, with a reason, and the next one runs."""
    async with page.post(f"{comfyui.url}/prompt", json={"prompt": unconnected_chain(3000)}) as answer:
        assert answer.status == 200, await answer.text()
        prompt_id = (await answer.json())["prompt_id"]
    await sidecar.dispatch(sidecar.submissions[-1])
    outcome = await sidecar.outcome_of(prompt_id)

    assert outcome["status"] == "failed"
    assert outcome["error"]["type"] == "RecursionError"
    assert await still_runs_prompts(comfyui, sidecar, page)


async def test_a_prompt_that_comfyui_finds_invalid_is_answered_as_comfyui_does(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """The page paints the nodes red from ComfyUI's own words; the sidecar hears nothing of it."""
    workflow = small_picture()
    workflow["1"]["inputs"]["width"] = "wide"
    async with page.post(f"{comfyui.url}/prompt", json={"prompt": workflow}) as answer:
        told = await answer.json()

    assert answer.status == 400
    assert told["error"]["type"] == "prompt_outputs_failed_validation"
    assert told["node_errors"]["1"]["errors"][0]["type"] == "invalid_input_type"
    assert sidecar.submissions == []


async def test_a_prompt_that_is_valid_in_part_is_taken_with_its_errors(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """As in ComfyUI: the good outputs run, the others are told."""
    workflow = small_picture()
    workflow["3"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}
    async with page.post(f"{comfyui.url}/prompt", json={"prompt": workflow}) as answer:
        told = await answer.json()

    assert answer.status == 200
    assert list(told["node_errors"]) == ["3"]
    assert len(sidecar.submissions) == 1


async def test_a_refusal_is_shown_with_the_sidecars_own_sentence(
    comfyui: RunningComfyUI, sidecar_port: int, page: aiohttp.ClientSession
) -> None:
    """
    The sentence becomes ComfyUI's message, with status and Retry-After kept; beside a limit stands where to look.

    Older pages show both in one line, as "message: details".
    """
    async with (
        StrictSidecar(sidecar_port),
        page.post(f"{comfyui.url}/prompt", json={"prompt": small_picture()}) as answer,
    ):
        told = await answer.json()

    assert answer.status == 429
    assert answer.headers["Retry-After"] == "60"
    assert told["error"]["message"] == "You have used today's quota"
    assert told["error"]["details"] == "see Limits in the sidebar."


async def test_another_websites_prompt_is_not_taken(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """ComfyUI's check of the page's origin stands in front of the gate."""
    headers = {"Origin": "https://elsewhere.example"}
    async with page.post(f"{comfyui.url}/prompt", json={"prompt": small_picture()}, headers=headers) as answer:
        pass

    assert answer.status == 403
    assert sidecar.submissions == []


async def test_tokens_of_comfy_org_never_reach_the_sidecar(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """They stay in the pack's memory; neither the sidecar, nor the queue, nor the journal has them."""
    secret = "sk-never-written"
    extra_data = {"api_key_comfy_org": secret, "auth_token_comfy_org": secret}
    async with page.post(f"{comfyui.url}/prompt", json={"prompt": small_picture(), "extra_data": extra_data}) as answer:
        prompt_id = (await answer.json())["prompt_id"]
    await sidecar.dispatch(sidecar.submissions[-1])
    await sidecar.outcome_of(prompt_id)
    async with page.get(f"{comfyui.url}/history/{prompt_id}") as answer:
        history = await answer.text()

    assert secret not in json.dumps(sidecar.submissions) + json.dumps(await sidecar.outcomes()) + history


async def test_without_a_sidecar_the_prompt_runs_and_is_journalled(
    comfyui: RunningComfyUI, sidecar_port: int, page: aiohttp.ClientSession
) -> None:
    """Nobody waits for a sidecar that is away; it finds everything in the journal when it is back."""
    workflow = small_picture()
    async with page.post(f"{comfyui.url}/prompt", json={"prompt": workflow, "client_id": "browser"}) as answer:
        prompt_id = (await answer.json())["prompt_id"]
    async with PatientSidecar(sidecar_port, comfyui.url) as sidecar:
        finished = await sidecar.outcome_of(prompt_id)
        entries = (await sidecar.outcomes())["entries"]

    accepted = next(entry for entry in entries if entry["kind"] == "accepted" and entry["prompt_id"] == prompt_id)
    assert (accepted["source"], accepted["workflow"], accepted["client_id"]) == ("page", workflow, "browser")
    assert accepted["extra_data"]["extra_pnginfo"]["genonaut"]["generation_id"] == prompt_id
    assert accepted["sequence"] < finished["sequence"]
