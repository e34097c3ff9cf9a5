"""The nodes, run by the real ComfyUI."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import aiohttp
from fakes.sidecar import PatientSidecar
from integration.pack.test_queue import post
from integration.pack.workflows import small_picture
from PIL import Image
from real.processes import RunningComfyUI


def file_of(comfyui: RunningComfyUI, named: dict[str, str]) -> Path:
    return comfyui.base / named["type"] / named["subfolder"] / named["filename"]


async def test_save_image_writes_everything_and_reports_it(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """Full size with its metadata, three thumbnails in their order, and a report that says what is on the disk."""
    workflow = small_picture(width=1600, height=400, images=2)
    extra_data = {"extra_pnginfo": {"workflow": {"nodes": []}, "genonaut": {"generation_id": "g"}}}
    async with page.post(f"{comfyui.url}/prompt", json={"prompt": workflow, "extra_data": extra_data}) as answer:
        prompt_id = (await answer.json())["prompt_id"]
    await sidecar.dispatch(sidecar.submissions[-1])
    output = (await sidecar.outcome_of(prompt_id))["outputs"]["2"]

    assert len(output["images"]) == len(output["genonaut"]) == 2
    for named, report in zip(output["images"], output["genonaut"], strict=True):
        file = file_of(comfyui, named)
        with Image.open(file) as image:
            assert image.size == (report["width"], report["height"]) == (1600, 400)
            assert json.loads(image.text["prompt"]) == workflow
            assert json.loads(image.text["genonaut"]) == {"generation_id": "g"}
            assert json.loads(image.text["workflow"]) == {"nodes": []}
        assert report["bytes"] == file.stat().st_size
        assert report["media_type"] == "image/png"
        assert len(base64.b64decode(report["thumbhash"])) > 5
        sizes = {}
        for size, thumbnail in report["thumbnails"].items():
            with Image.open(file_of(comfyui, thumbnail)) as image:
                assert image.format == "WEBP"
                assert image.size == (thumbnail["width"], thumbnail["height"])
                sizes[size] = image.size
        assert sizes == {"small": (256, 64), "medium": (512, 128), "large": (1024, 256)}
    assert list(comfyui.base.rglob("*.part")) == []


async def test_a_small_image_is_not_enlarged(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """All three thumbnails are there, none larger than the image."""
    prompt_id = await post(comfyui, page, small_picture(width=40, height=30))
    await sidecar.dispatch(sidecar.submissions[-1])
    report = (await sidecar.outcome_of(prompt_id))["outputs"]["2"]["genonaut"][0]

    assert {(one["width"], one["height"]) for one in report["thumbnails"].values()} == {(40, 30)}


async def test_tag_generation_works_unconnected_and_in_the_line(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """Beside the way of the image or on it, the image comes out the same."""
    words = {"title": "A title", "tags": "one, two"}
    beside = {**small_picture(), "3": {"class_type": "GenonautTagGeneration", "inputs": words}}
    between = small_picture()
    between["3"] = {"class_type": "GenonautTagGeneration", "inputs": {**words, "images": ["1", 0]}}
    between["2"]["inputs"]["images"] = ["3", 0]
    for workflow in (beside, between):
        prompt_id = await post(comfyui, page, workflow)
        await sidecar.dispatch(sidecar.submissions[-1])
        outcome = await sidecar.outcome_of(prompt_id)

        assert outcome["status"] == "completed"
        assert len(outcome["outputs"]["2"]["images"]) == 1


async def test_a_cached_prompt_names_the_earlier_file_again(
    comfyui: RunningComfyUI, sidecar: PatientSidecar, page: aiohttp.ClientSession
) -> None:
    """ComfyUI answers an identical prompt from its cache; its outcome still says which image that is."""
    workflow = small_picture()
    outcomes = []
    for _ in range(2):
        async with page.post(f"{comfyui.url}/prompt", json={"prompt": workflow}) as answer:  # without a client id
            prompt_id = (await answer.json())["prompt_id"]
        await sidecar.dispatch(sidecar.submissions[-1])
        outcomes.append(await sidecar.outcome_of(prompt_id))

    assert outcomes[0]["outputs"] == outcomes[1]["outputs"]
    assert outcomes[1]["cached"] == ["1", "2"]


async def test_help_words_and_example_are_served(comfyui: RunningComfyUI, page: aiohttp.ClientSession) -> None:
    """ComfyUI finds help pages, translations and the example where it looks for them."""
    async with page.get(f"{comfyui.url}/i18n") as answer:
        words = await answer.json()
    for path in (
        "/extensions/comfyui-genonaut/docs/GenonautSaveImage/en.md",
        "/extensions/comfyui-genonaut/docs/GenonautTagGeneration/de.md",
        "/api/workflow_templates/comfyui-genonaut/text_to_image.json",
    ):
        async with page.get(comfyui.url + path) as answer:
            assert answer.status == 200, path

    assert words["de"]["nodeDefs"]["GenonautSaveImage"]["display_name"] == "Bild speichern (Genonaut)"
