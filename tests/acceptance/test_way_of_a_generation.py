"""One generation from the Queue button to its picture in the history, every process real."""

from __future__ import annotations

import io
import json
import random
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from acceptance.books import lines_without_their_generation, log_lines
from acceptance.installation import DRAWING, Installation, Json, until
from acceptance.listening import event_stream, hear_until_ended, page_socket
from acceptance.workflows import checkpoint_picture, quick_picture
from PIL import Image
from real import models

SIZES = {"small": 256, "medium": 512, "large": 1024}
SAVE_NODES = ["GenonautSaveImage", "SaveImage"]


def fetch(genonaut: Installation, path: str, **headers: str) -> httpx.Response:
    answer = genonaut.http.get(f"{genonaut.api}{path}", headers=headers)
    assert answer.status_code < 400, answer.text
    return answer


def file_in_output_folder(genonaut: Installation, prompt_id: str) -> bytes:
    """The one file that ComfyUI's own history names."""
    entry: Json = genonaut.http.get(f"{genonaut.url}/history/{prompt_id}").json()[prompt_id]
    (named,) = (image for outputs in entry["outputs"].values() for image in outputs["images"])
    return genonaut.output_file(named).read_bytes()


def metadata_of(content: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(content)) as picture:
        return {key: json.loads(value) for key, value in picture.info.items() if isinstance(value, str)}


@pytest.mark.parametrize("path", ["/prompt", "/api/prompt"])
@pytest.mark.parametrize("save_node", SAVE_NODES)
def test_what_is_queued_in_the_page_is_recorded_with_its_facts(
    genonaut: Installation, save_node: str, path: str
) -> None:
    """The history knows what was asked for, read out of the workflow, and what became of it."""
    workflow = checkpoint_picture(save_node=save_node)
    generation = genonaut.wait_until_kept(genonaut.submit(workflow, path=path))

    assert generation["source"] == "page"
    assert (generation["prompt"], generation["negative_prompt"]) == ("a lighthouse at dawn", "blurry")
    assert generation["checkpoint"] == models.CHECKPOINT
    assert generation["loras"] == [{"name": models.LORA, "strength_model": 0.8, "strength_clip": 0.8}]
    assert (generation["width"], generation["height"], generation["batch_size"]) == (64, 64, 1)
    assert generation["sampler"] == {
        **{name: workflow["6"]["inputs"][name] for name in ("seed", "steps", "cfg", "sampler_name", "scheduler")},
        "denoise": 1.0,
    }
    assert generation["error"] is None
    assert generation["gpu_seconds"] > 0
    times = [generation[f"{what}_at"] for what in ("created", "submitted", "started", "finished")]
    assert times == sorted(times)


@pytest.mark.parametrize("save_node", SAVE_NODES)
def test_the_kept_image_is_the_file_that_comfyui_wrote(genonaut: Installation, save_node: str) -> None:
    """Byte for byte, with the prompt, the page's drawing and Genonaut's tag in it, whichever node saved it."""
    workflow = checkpoint_picture(save_node=save_node)
    generation = genonaut.wait_until_kept(genonaut.submit(workflow))
    (image,) = generation["images"]
    answer = fetch(genonaut, f"/images/{image['id']}")
    metadata = metadata_of(answer.content)

    assert answer.content == file_in_output_folder(genonaut, generation["id"])
    assert answer.headers["content-type"] == image["media_type"] == "image/png"
    assert (image["state"], image["width"], image["height"]) == ("kept", 64, 64)
    assert image["bytes"] == len(answer.content)
    assert metadata["prompt"] == workflow
    assert metadata["workflow"] == DRAWING
    assert metadata["genonaut"]["generation_id"] == generation["id"]


@pytest.mark.parametrize("save_node", SAVE_NODES)
def test_every_image_has_thumbnails_in_three_sizes(genonaut: Installation, save_node: str) -> None:
    """WebP, no longer than the size allows and never enlarged; made in the graph, or afterwards where it did not."""
    workflow = quick_picture()
    workflow["1"]["inputs"] |= {"width": 1200, "height": 600}
    workflow["2"]["class_type"] = save_node
    (image,) = genonaut.wait_until_kept(genonaut.submit(workflow))["images"]
    found = {}
    for size in SIZES:
        content = fetch(genonaut, f"/images/{image['id']}/thumbnail/{size}").content
        with Image.open(io.BytesIO(content)) as picture:
            found[size] = (picture.format, picture.size)

    assert image["thumbnails"] == list(SIZES)
    assert image["thumbhash"]
    assert found == {size: ("WEBP", (longest, longest // 2)) for size, longest in SIZES.items()}


def test_an_image_is_served_in_parts_and_not_sent_again(genonaut: Installation) -> None:
    """Through ComfyUI's port too: the proxy passes ranges and tags on as they are."""
    (image,) = genonaut.wait_until_kept(genonaut.submit(quick_picture()))["images"]
    whole = fetch(genonaut, f"/images/{image['id']}")
    part = fetch(genonaut, f"/images/{image['id']}", Range="bytes=10-19")
    known = fetch(genonaut, f"/images/{image['id']}", **{"If-None-Match": whole.headers["etag"]})

    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert (known.status_code, known.content) == (304, b"")
    assert "immutable" in whole.headers["cache-control"]


def test_the_page_hears_its_events_as_from_comfyui_alone(genonaut: Installation) -> None:
    """The browser that queued it follows it node by node; the id is the one that it was answered."""
    with page_socket(genonaut.url, "this-browser") as socket:
        prompt_id = genonaut.submit(checkpoint_picture(save_node="SaveImage"), client_id="this-browser")
        heard = hear_until_ended(socket, prompt_id)
    names = [event.name for event in heard]

    assert names[0] == "execution_start"
    assert names[-1] == "execution_success"
    assert {"execution_cached", "executing", "executed", "progress"} <= set(names)
    (shown,) = (event for event in heard if event.name == "executed")
    assert shown.data["output"]["images"][0]["filename"].startswith("lighthouse")


def test_the_event_stream_tells_states_and_progress_through_comfyuis_port(genonaut: Installation) -> None:
    """First `hello`; then each state in its order, and between `running` and the end how far it is."""
    with event_stream(genonaut.http, f"{genonaut.api}/events") as events:
        first = next(events)
        generation_id = genonaut.submit(checkpoint_picture(steps=30))
        states: list[str] = []
        fractions: list[float] = []
        for event in events:
            if event.data.get("id") != generation_id:
                continue
            if event.name == "progress":
                fractions.append(event.data["progress"]["fraction"])
            elif event.data["state"] not in states:
                states.append(event.data["state"])
            if event.name == "generation" and any(image["state"] == "kept" for image in event.data["images"]):
                break

    assert (first.name, first.data) == ("hello", {})
    assert states == [state for state in ("pending", "submitted", "running", "completed") if state in states]
    assert {"running", "completed"} <= set(states)
    assert fractions == sorted(fractions)
    assert 0 < fractions[-1] <= 1


def test_a_generation_is_asked_for_by_parameters(genonaut: Installation) -> None:
    """The API builds the core workflow; what is recorded is what was asked for."""
    parameters = {
        "prompt": "a red fox, snow",
        "negative_prompt": "text",
        "checkpoint": models.CHECKPOINT,
        "loras": [{"name": models.LORA, "strength_model": 0.5, "strength_clip": 0.25}],
        "width": 64,
        "height": 96,
        "batch_size": 2,
        "seed": random.getrandbits(63),
        "steps": 2,
        "cfg": 5.5,
        "sampler_name": "dpmpp_2m",
        "scheduler": "karras",
        "denoise": 1.0,
    }
    submission = {"parameters": parameters, "title": "Fox", "tags": ["animals"]}
    answer = genonaut.http.post(f"{genonaut.api}/generations", json=submission)
    assert answer.status_code == 202, answer.text
    generation = genonaut.wait_until_kept(answer.json()["id"])

    assert answer.json()["state"] in ("pending", "submitted", "running")
    assert generation["source"] == "api"
    assert (generation["title"], generation["tags"]) == ("Fox", ["animals"])
    recorded = {**generation, **generation["sampler"]}
    assert {name: recorded[name] for name in parameters} == parameters
    assert [(image["width"], image["height"], image["position"]) for image in generation["images"]] == [
        (64, 96, 0),
        (64, 96, 1),
    ]


def test_parameters_that_cannot_be_are_refused_all_together(genonaut: Installation) -> None:
    """Problem details with a sentence for each field."""
    parameters = {"width": 65, "height": 64, "steps": 0, "checkpoint": "../../etc/passwd"}
    answer = genonaut.http.post(f"{genonaut.api}/generations", json={"parameters": parameters})
    told: Json = answer.json()

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["code"] == "invalid_parameters"
    assert {error["field"] for error in told["errors"]} == {"width", "steps", "checkpoint"}


def test_a_checkpoint_that_comfyui_does_not_have_is_refused_at_once(genonaut: Installation) -> None:
    """It has told which ones it has."""
    until(lambda: listed_models(genonaut, "checkpoint"), what="ComfyUI has told its models")
    parameters = {"checkpoint": "missing.safetensors", "width": 64, "height": 64}
    answer = genonaut.http.post(f"{genonaut.api}/generations", json={"parameters": parameters})

    assert listed_models(genonaut, "checkpoint") == [models.CHECKPOINT]
    assert listed_models(genonaut, "lora") == [models.LORA]
    assert answer.status_code == 400
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [("checkpoint", "model_unknown")]


def test_a_model_that_is_switched_off_is_refused_at_comfyuis_own_page(genonaut: Installation) -> None:
    """Whoever presses Queue reads which node needs it and why it is refused."""
    until(lambda: listed_models(genonaut, "lora"), what="ComfyUI has told its models")
    (lora,) = fetch(genonaut, "/models?kind=lora").json()["items"]
    genonaut.http.patch(f"{genonaut.api}/models/{lora['id']}", json={"active": False}).raise_for_status()
    try:
        refusal = genonaut.post_prompt(checkpoint_picture())
    finally:
        genonaut.http.patch(f"{genonaut.api}/models/{lora['id']}", json={"active": True}).raise_for_status()

    assert refusal.status_code == 400
    assert f"The LoRA {models.LORA} is switched off here" in refusal.json()["error"]["message"]
    genonaut.wait_for_state(genonaut.submit(checkpoint_picture()), "completed")


def listed_models(genonaut: Installation, kind: str) -> list[str]:
    return [model["name"] for model in fetch(genonaut, f"/models?kind={kind}").json()["items"]]


def test_a_node_that_runs_out_of_memory_is_tried_once_more_and_then_fails_with_advice(genonaut: Installation) -> None:
    """Four terabytes for one picture; the queue goes on."""
    workflow = quick_picture()
    workflow["1"]["inputs"] |= {"width": 16384, "height": 16384, "batch_size": 4096}
    generation_id = genonaut.submit(workflow)
    generation = genonaut.wait_for_state(generation_id, "failed", "completed")
    steps = fetch(genonaut, f"/generations/{quote(generation_id)}/timeline").json()["items"]

    assert generation["error"]["code"] == "out_of_memory"
    assert "Try a smaller size or batch" in generation["error"]["message"]
    assert [step["state"] for step in steps].count("submitted") == 2
    genonaut.wait_for_state(genonaut.submit(quick_picture()), "completed")


def test_a_node_that_fails_is_recorded_with_its_place_and_reason(genonaut: Installation) -> None:
    """(A prefix may not leave ComfyUI's output folder; only the node itself finds out.)"""
    workflow = quick_picture()
    workflow["2"]["inputs"]["filename_prefix"] = "../outside"
    generation = genonaut.wait_for_state(genonaut.submit(workflow), "failed", "completed")

    assert generation["state"] == "failed"
    assert (generation["error"]["node_id"], generation["error"]["node_type"]) == ("2", "SaveImage")
    assert generation["error"]["message"].startswith("SaveImage failed:")
    assert generation["images"] == []


def test_the_workflow_can_be_had_again_as_it_was_drawn(genonaut: Installation) -> None:
    """What was executed, and what the page drew."""
    workflow = quick_picture()
    generation_id = genonaut.submit(workflow)

    assert fetch(genonaut, f"/generations/{quote(generation_id)}/workflow").json() == {
        "workflow": workflow,
        "ui_workflow": DRAWING,
    }


def test_a_workflow_that_names_itself_is_found_by_that(genonaut: Installation) -> None:
    """*Tag Generation* gives title and tags without being connected to anything."""
    workflow = quick_picture()
    workflow["3"] = {"class_type": "GenonautTagGeneration", "inputs": {"title": "Blue", "tags": "flat, test ,"}}
    generation = genonaut.wait_until_kept(genonaut.submit(workflow))

    assert (generation["title"], generation["tags"]) == ("Blue", ["flat", "test"])
    tag = metadata_of(file_in_output_folder(genonaut, generation["id"]))["genonaut"]
    assert (tag["title"], tag["tags"]) == ("Blue", ["flat", "test"])


@pytest.mark.parametrize("save_node", SAVE_NODES)
def test_a_prompt_that_comfyui_answers_from_its_cache_has_the_image_too(genonaut: Installation, save_node: str) -> None:
    """The same workflow twice: nothing is run again, and both generations show the picture."""
    workflow = checkpoint_picture(save_node=save_node)
    first = genonaut.wait_until_kept(genonaut.submit(workflow))
    second = genonaut.wait_until_kept(genonaut.submit(workflow))
    first_bytes, second_bytes = (
        fetch(genonaut, f"/images/{generation['images'][0]['id']}").content for generation in (first, second)
    )

    assert first["id"] != second["id"]
    assert first_bytes == second_bytes
    assert [len(generation["images"]) for generation in (first, second)] == [1, 1]
    assert second["images"][0]["thumbnails"] == list(SIZES)


def test_a_generation_is_repeated_and_deleting_one_takes_nothing_from_the_other(genonaut: Installation) -> None:
    """With another seed it is another image; the same again comes from ComfyUI's cache, and is the other one's too."""
    first = genonaut.wait_until_kept(genonaut.submit(checkpoint_picture()))
    path = f"{genonaut.api}/generations/{first['id']}"
    same, once_more, another = (
        genonaut.http.post(f"{path}/repeat", json=body, headers={"Idempotency-Key": f"{first['id']}-{key}"}).json()
        for key, body in ((1, {}), (1, {}), (2, {"parameters": {"seed": "random"}}))
    )
    kept = [genonaut.wait_until_kept(generation["id"]) for generation in (same, another)]
    deleted = genonaut.http.delete(path).json()
    contents = [fetch(genonaut, f"/images/{generation['images'][0]['id']}").content for generation in (first, *kept)]

    assert once_more["id"] == same["id"]
    assert [generation["parent_id"] for generation in kept] == [first["id"]] * 2
    assert deleted["trashed_at"]
    assert deleted["child_count"] == 2
    assert contents[0] == contents[1] != contents[2]
    assert metadata_of(contents[2])["prompt"]["6"]["inputs"]["seed"] == kept[1]["sampler"]["seed"]


def test_every_log_line_about_a_generation_carries_its_id(genonaut: Installation) -> None:
    """Whoever searches the log for one generation finds its whole way, from admission to its kept image."""
    generation_id = genonaut.wait_until_kept(genonaut.submit(quick_picture()))["id"]
    of_this_one = [line["event"] for line in log_lines(genonaut) if line.get("generation_id") == generation_id]

    assert of_this_one[0] == "generation_admitted"
    assert {"generation_submitted", "generation_recorded", "image_finished"} <= set(of_this_one)
    assert lines_without_their_generation(genonaut, [generation_id]) == []
