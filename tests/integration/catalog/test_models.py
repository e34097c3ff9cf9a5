"""Which models there are, as an API client sees it."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.comfyui import ScriptedComfyUI
from fakes.paired import AsPack
from httpx import AsyncClient
from integration.backends import both_databases
from integration.generations.conftest import until

from sidecar.identity import uuid7

from .conftest import StartApi, models, refresh, switch

LOADING = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}}}


async def names(client: AsyncClient, **wanted: Any) -> list[str]:
    return [model["name"] for model in await models(client, **wanted)]


async def test_every_model_is_listed_by_kind_and_name(client: AsyncClient):
    """As ComfyUI lists it, virtual ones too: whatever a loader offers can be chosen."""
    assert await names(client) == [
        "sd15.safetensors",
        "SDXL/base.safetensors",
        "pencil.safetensors",
        "pixel_space",
        "soft.pt",
    ]


async def test_a_comfyui_is_asked_when_it_is_met(start_api: StartApi, comfyui: ScriptedComfyUI):
    """Nobody has to press a button after an installation or a restart."""
    async with start_api(comfyui) as client:
        await until(lambda: names(client, kind="checkpoint"))


async def test_a_list_is_filtered(client: AsyncClient):
    """By kind, by a part of the name in any case, and by whether it is switched on."""
    await switch(client, "soft.pt", active=False)

    assert await names(client, kind="lora") == ["pencil.safetensors"]
    assert await names(client, q="sdxl/B") == ["SDXL/base.safetensors"]
    assert await names(client, active="false") == ["soft.pt"]
    assert await names(client, kind="vae", active="true") == ["pixel_space"]


@pytest.mark.parametrize("query", [{"kind": "embedding"}, {"limit": 0}, {"active": "perhaps"}, {"cursor": "nonsense"}])
async def test_a_question_that_makes_no_sense_is_refused(client: AsyncClient, query: dict[str, Any]):
    """With a problem, not with everything."""
    answer = await client.get("/api/v1/models", params=query)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_a_long_list_comes_in_pages(client: AsyncClient):
    """Every model comes once, whatever the page size."""
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params: dict[str, Any] = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/v1/models", params=params)).json()
        seen += [model["name"] for model in page["items"]]
        cursor = page["next_cursor"]

    assert seen == await names(client)


@both_databases
async def test_a_browser_keeps_the_list_for_an_hour_and_then_asks_whether_it_is_still_true(client: AsyncClient):
    """RFC 9110: the same answer has the same ETag, and need not be sent twice."""
    first = await client.get("/api/v1/models")
    again = await client.get("/api/v1/models", headers={"If-None-Match": first.headers["etag"]})
    await switch(client, "soft.pt", active=False)
    changed = await client.get("/api/v1/models", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "private, max-age=3600"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert changed.status_code == 200


async def test_samplers_and_schedulers_are_listed(client: AsyncClient):
    """In ComfyUI's own order."""
    answer = await client.get("/api/v1/models/options")

    assert answer.json() == {"samplers": ["euler", "dpmpp_2m"], "schedulers": ["normal", "karras"]}
    assert answer.headers["etag"]


@both_databases
async def test_a_model_that_comes_is_added_and_one_that_goes_stays_known(client: AsyncClient, comfyui: ScriptedComfyUI):
    """What was made with it still says so; it keeps its id and comes back under it."""
    before = {model["name"]: model for model in await models(client, kind="checkpoint")}
    comfyui.models["checkpoints"] = ["sd15.safetensors", "new.safetensors"]
    (told,) = await refresh(client)
    after = {model["name"]: model for model in await models(client, kind="checkpoint")}

    assert (told["state"], told["added"], told["vanished"]) == ("listed", 1, 1)
    assert after["new.safetensors"]["available"]
    assert not after["SDXL/base.safetensors"]["available"]
    assert after["SDXL/base.safetensors"]["id"] == before["SDXL/base.safetensors"]["id"]
    assert after["SDXL/base.safetensors"]["last_seen"] == before["SDXL/base.safetensors"]["last_seen"]
    assert after["sd15.safetensors"]["last_seen"] > before["sd15.safetensors"]["last_seen"]
    assert after["sd15.safetensors"]["first_seen"] == before["sd15.safetensors"]["first_seen"]


async def test_a_comfyui_that_is_away_keeps_what_it_had(start_api: StartApi, comfyui: ScriptedComfyUI):
    """Its models are not gone; and after a restart the sidecar still knows them."""
    async with start_api(comfyui) as client:
        await refresh(client)
        known = await names(client)
    comfyui.object_info_is = b""
    async with start_api(comfyui) as client:
        assert await names(client) == known


async def test_an_answer_that_is_none_changes_nothing(client: AsyncClient, comfyui: ScriptedComfyUI):
    """A proxy's error page must not empty the catalogue."""
    known = await names(client)
    comfyui.object_info_is = b"<html>Bad Gateway</html>"
    (told,) = await refresh(client)

    assert told["state"] == "away"
    assert "cannot be read" in told["reason"]
    assert await names(client) == known


@both_databases
async def test_a_model_says_which_instances_have_it(start_api: StartApi, comfyui: ScriptedComfyUI):
    """One model on two ComfyUIs is one model, also where one of them runs on Windows."""
    windows = ScriptedComfyUI()
    windows.models = {"checkpoints": ["SDXL\\base.safetensors"]}
    async with windows.served(), start_api(comfyui, windows) as client:
        told = await refresh(client)
        (both,) = await models(client, q="base")
        (one,) = await models(client, q="sd15")

        assert len(told) == 2
        assert len(both["instances"]) == 2
        assert len(one["instances"]) == 1


async def test_a_switched_off_model_is_refused_by_parameters_with_its_field(client: AsyncClient):
    """Together with every other field error."""
    await switch(client, "sd15", active=False)
    parameters = {"checkpoint": "sd15.safetensors", "loras": [{"name": "gone.safetensors"}], "width": 65}
    answer = await client.post("/api/v1/generations", json={"parameters": parameters})
    found = {error["field"]: error.get("code") for error in answer.json()["errors"]}

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameters")
    assert found["checkpoint"] == "model_switched_off"
    assert found["loras[0].name"] == "model_unknown"
    assert "width" in found


async def test_a_switched_off_model_is_refused_by_workflow_with_its_node(client: AsyncClient):
    """Nothing is written, and the sentence says what to change."""
    await switch(client, "sd15", active=False)
    answer = await client.post("/api/v1/generations", json={"workflow": LOADING})
    problem = answer.json()

    assert (answer.status_code, problem["code"]) == (400, "models_unusable")
    assert "CheckpointLoaderSimple (node 1): The checkpoint sd15.safetensors is switched off" in problem["detail"]
    assert problem["errors"][0]["field"] == "workflow.1.inputs.ckpt_name"
    assert (await client.get("/api/v1/generations")).json()["items"] == []


async def test_a_switched_off_model_is_refused_at_comfyuis_own_page(client: AsyncClient, paired: AsPack):
    """The gate shows the sentence to whoever pressed Queue."""
    await switch(client, "sd15", active=False)
    answer = await client.post("/internal/prompts", json={"id": str(uuid7()), "workflow": LOADING}, auth=paired)

    assert answer.status_code == 400
    assert "switched off" in answer.json()["detail"]


async def test_a_model_that_comfyui_has_just_accepted_is_not_called_unknown(client: AsyncClient, paired: AsPack):
    """Its page offers a new file at once, and the gate has let ComfyUI check the workflow."""
    newer = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "minutes-old.safetensors"}}}
    answer = await client.post("/internal/prompts", json={"id": str(uuid7()), "workflow": newer}, auth=paired)

    assert answer.status_code == 202


async def test_a_model_that_was_switched_on_again_may_be_used(client: AsyncClient):
    """At once."""
    await switch(client, "sd15", active=False)
    await switch(client, "sd15", active=True)
    answer = await client.post("/api/v1/generations", json={"workflow": LOADING})

    assert answer.status_code == 202


async def test_before_comfyui_was_ever_there_every_model_is_accepted(start_api: StartApi):
    """Then only ComfyUI can say, and it says so when it is there."""
    away = ScriptedComfyUI()
    away.url = "http://127.0.0.1:9"
    async with start_api(away) as client:
        answer = await client.post("/api/v1/generations", json={"workflow": LOADING})

        assert answer.status_code == 202


async def test_a_model_that_nobody_has_is_looked_for_before_it_is_refused(
    client: AsyncClient, comfyui: ScriptedComfyUI, look_again_at_once: None
):
    """Somebody may have put it there a minute ago."""
    workflow = {"1": {"class_type": "LoraLoader", "inputs": {"lora_name": "fresh.safetensors"}}}
    refused = await client.post("/api/v1/generations", json={"workflow": workflow})
    comfyui.models["loras"].append("fresh.safetensors")
    accepted = await client.post("/api/v1/generations", json={"workflow": workflow})

    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "model_unknown")
    assert accepted.status_code == 202


async def test_whoever_asks_for_nonsense_again_and_again_does_not_keep_comfyui_busy(
    client: AsyncClient, comfyui: ScriptedComfyUI
):
    """ComfyUI's description of its nodes is megabytes."""
    asked = comfyui.asked_for_models
    workflow = {"1": {"class_type": "LoraLoader", "inputs": {"lora_name": "nonsense"}}}
    answers = [(await client.post("/api/v1/generations", json={"workflow": workflow})).status_code for _ in range(5)]

    assert answers == [400] * 5
    assert comfyui.asked_for_models == asked


async def test_a_model_that_does_not_exist_cannot_be_switched(client: AsyncClient):
    """There is no such thing here."""
    answer = await client.patch(f"/api/v1/models/{uuid7()}", json={"active": False})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_other_separator_names_the_same_model(client: AsyncClient):
    """ComfyUI takes only the name that it lists itself, so that one goes into the workflow."""
    asked = {"parameters": {"checkpoint": "SDXL\\base.safetensors", "seed": 1}}
    submitted = await client.post("/api/v1/generations", json=asked)

    assert submitted.status_code == 202, submitted.text
    assert submitted.json()["checkpoint"] == "SDXL/base.safetensors"


async def test_a_misspelt_name_is_refused_with_the_likely_one(client: AsyncClient):
    """Also when a generation is repeated with another model."""
    wrong = {"checkpoint": "sd5", "loras": [{"name": "pencl"}]}
    first = (
        await client.post("/api/v1/generations", json={"parameters": {"checkpoint": "sd15.safetensors", "seed": 1}})
    ).json()
    by_parameters = await client.post("/api/v1/generations", json={"parameters": wrong})
    by_repeat = await client.post(f"/api/v1/generations/{first['id']}/repeat", json={"parameters": wrong})

    for refused in (by_parameters, by_repeat):
        assert refused.status_code == 400
        assert [(error["field"], error["message"]) for error in refused.json()["errors"]] == [
            ("checkpoint", "There is no checkpoint sd5 here. Did you mean sd15.safetensors?"),
            ("loras[0].name", "There is no LoRA pencl here. Did you mean pencil.safetensors?"),
        ]


async def test_a_repeat_may_choose_another_model_of_a_kind_that_is_not_listed(client: AsyncClient):
    """What stands where checkpoints stand may be a diffusion model: ComfyUI knows which ones it has."""
    workflow = {
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"}},
        "2": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "latent_image": ["3", 0], "seed": 1}},
    }
    first = (await client.post("/api/v1/generations", json={"workflow": workflow})).json()
    changes = {"checkpoint": "flux1-schnell.safetensors"}
    second = await client.post(f"/api/v1/generations/{first['id']}/repeat", json={"parameters": changes})

    assert second.status_code == 202, second.text
    assert second.json()["checkpoint"] == "flux1-schnell.safetensors"
