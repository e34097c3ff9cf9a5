"""What the sidecar hears from ComfyUI, live and afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from fakes.sidecar import PatientSidecar
from integration.pack.test_queue import post, queue_of, until
from integration.pack.workflows import small_picture
from real.processes import RunningComfyUI

from comfy_nodes.pairing import PAIRING_HEADER


async def hear(socket: aiohttp.ClientWebSocketResponse[bool], last: str) -> list[dict[str, Any]]:
    """Listen until a message of this type."""
    heard: list[dict[str, Any]] = []
    while not heard or heard[-1]["type"] != last:
        heard.append(json.loads((await asyncio.wait_for(socket.receive(), 20)).data))
    return heard


@pytest.mark.parametrize(
    "method", ["GET /genonaut/observer", "GET /genonaut/outcomes", "POST /genonaut/outcomes/confirm"]
)
async def test_only_the_paired_sidecar_may_ask(
    comfyui: RunningComfyUI, page: aiohttp.ClientSession, method: str
) -> None:
    """Journal and events hold everybody's prompts; without the secret there is nothing to see."""
    verb, path = method.split()
    for headers in ({}, {"X-Genonaut-Pairing": "guessed"}):
        async with page.request(verb, comfyui.url + path, headers=headers) as answer:
            told = await answer.json()

        assert (answer.status, told["error"]["type"]) == (401, "not_paired")


async def test_the_observer_hears_a_prompt_from_start_to_outcome(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """First who speaks, then ComfyUI's events in their order, then that the journal has grown."""
    async with await sidecar.observe() as socket:
        hello = (await hear(socket, "hello"))[0]
        prompt_id = await post(comfyui, page, small_picture())
        await sidecar.dispatch(sidecar.submissions[-1])
        heard = await hear(socket, "outcome")

    assert hello["data"]["directories"]["output"] == str((comfyui.base / "output").resolve())
    assert hello["data"]["comfyui_version"] == "0.3.75"
    kinds = list(dict.fromkeys(message["type"] for message in heard))
    assert kinds[:2] == ["execution_start", "execution_cached"]
    assert kinds[-3:] == ["executed", "execution_success", "outcome"]
    assert heard[-1]["data"]["prompt_id"] == prompt_id
    assert abs(heard[-1]["at"] / 1000 - time.time()) < 5


async def test_held_prompts_told_by_the_sidecar_are_shown_in_its_order(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """The list is taken over whole: order, and what is gone from it."""
    held = [{"id": f"held-{n}", "number": n, "client_id": None, "created_at": 0} for n in (3, 1, 2)]

    async def tell(entries: list[dict[str, Any]]) -> None:
        await socket.send_json({"type": "held", "data": {"total": len(entries), "held": entries}})

    async def shown(ids: list[str]) -> bool:
        return await queue_of(comfyui, page, "pending") == ids

    async with await sidecar.observe() as socket:
        await tell(held)
        await until(lambda: shown(["held-3", "held-1", "held-2"]))
        await tell([])
        await until(lambda: shown([]))


async def test_a_frozen_observer_holds_nobody_up(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """An observer that reads nothing costs neither ComfyUI nor another observer anything."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(comfyui.url.rpartition(":")[2]))
    proof = (await sidecar.session.headers("GET", f"{comfyui.url}/genonaut/observer"))[PAIRING_HEADER].encode()
    writer.write(
        b"GET /genonaut/observer HTTP/1.1\r\nHost: localhost\r\nX-Genonaut-Pairing: " + proof + b"\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await reader.readline()
    for _ in range(20):
        prompt_id = await post(comfyui, page, small_picture())
        await sidecar.dispatch(sidecar.submissions[-1])

    assert (await sidecar.outcome_of(prompt_id))["status"] == "completed"
    writer.close()


async def test_confirmed_outcomes_are_forgotten_and_sequences_grow(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """What the sidecar has recorded is not told again; what comes after has higher sequences."""
    first = await post(comfyui, page, small_picture())
    await sidecar.dispatch(sidecar.submissions[-1])
    sequence = (await sidecar.outcome_of(first))["sequence"]
    async with sidecar.session.post(f"{comfyui.url}/genonaut/outcomes/confirm", json={"through": sequence}) as answer:
        assert answer.status == 204
    left = (await sidecar.outcomes())["entries"]
    second = await post(comfyui, page, small_picture())
    await sidecar.dispatch(sidecar.submissions[-1])

    assert left == []
    assert (await sidecar.outcome_of(second))["sequence"] == sequence + 2
    assert (await sidecar.outcomes(after=sequence + 2))["entries"] == []
