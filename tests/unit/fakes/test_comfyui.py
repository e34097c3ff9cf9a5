"""The ComfyUIs that misbehave do so as they say, and otherwise behave well."""

from __future__ import annotations

from typing import Any

import httpx
from fakes.comfyui import (
    PAIRING_SECRET,
    BabblingComfyUI,
    BrokenComfyUI,
    HungryComfyUI,
    LossyComfyUI,
    PickyComfyUI,
    ScriptedComfyUI,
)

from sidecar.comfyui.paired_http import PairedHttp
from sidecar.pairing import pairing_of


async def post(comfyui: ScriptedComfyUI, prompt_id: str) -> httpx.Response:
    http = PairedHttp(comfyui.url, pairing_of(PAIRING_SECRET))
    try:
        return await http.post("/prompt", {"prompt_id": prompt_id, "prompt": {}})
    finally:
        await http.close()


async def free(comfyui: ScriptedComfyUI) -> None:
    async with httpx.AsyncClient(base_url=comfyui.url) as http:
        (await http.post("/free", json={"unload_models": True, "free_memory": True})).raise_for_status()


def last(comfyui: ScriptedComfyUI) -> dict[str, Any]:
    return comfyui.entries[-1]


async def test_the_broken_one_answers_500_and_then_behaves():
    """And has not taken in what it answered so."""
    async with BrokenComfyUI(times=1).served() as comfyui:
        first, second = await post(comfyui, "a"), await post(comfyui, "a")

        assert (first.status_code, second.status_code, comfyui.pending) == (500, 200, ["a"])


async def test_the_lossy_one_has_taken_in_what_it_answers_badly():
    """Only its answer is lost."""
    async with LossyComfyUI(times=1).served() as comfyui:
        assert (await post(comfyui, "a")).status_code == 502
        assert comfyui.pending == ["a"]


async def test_the_picky_one_refuses_as_comfyui_words_it():
    """With an error of the whole and errors of the nodes."""
    async with PickyComfyUI(times=1).served() as comfyui:
        refusal = await post(comfyui, "a")

        assert (refusal.status_code, set(refusal.json())) == (400, {"error", "node_errors"})
        assert (await post(comfyui, "a")).status_code == 200


async def test_the_babbling_one_says_that_all_went_well_and_has_nothing():
    """What it says is a page for people."""
    async with BabblingComfyUI(times=1).served() as comfyui:
        answer = await post(comfyui, "a")

        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/html")
        assert comfyui.pending == []
        assert (await post(comfyui, "a")).status_code == 200


async def test_the_hungry_one_fails_until_its_memory_was_freed():
    """With the error that PyTorch raises."""
    async with HungryComfyUI(satisfied_after=1).served() as comfyui:
        await post(comfyui, "a")
        await comfyui.run("a")
        hungry = last(comfyui)
        await free(comfyui)
        await post(comfyui, "b")
        await comfyui.run("b")

        assert (hungry["status"], hungry["error"]["type"]) == ("failed", "torch.OutOfMemoryError")
        assert last(comfyui)["status"] == "completed"
