"""A workflow is refused for what it is made of and for how much it asks, and all reasons are told together."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import convert

from sidecar.comfyui.workflow_reader import Graph, measure
from sidecar.rules.graph import GraphDefinition, GraphRule


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


CORE = {
    "4": node("CheckpointLoaderSimple", ckpt_name="sd\\Tiny.safetensors"),
    "5": node("EmptyLatentImage", width=512, height=768, batch_size=2),
    "3": node("KSampler", seed=1, steps=20, latent_image=["5", 0], positive=["6", 0], negative=["7", 0]),
}


def codes(workflow: dict[str, Any], **definition: Any) -> list[str]:
    return [fault.code for fault in faults(workflow, **definition)]


def faults(workflow: dict[str, Any], **definition: Any) -> list[Any]:
    return GraphRule(convert(definition, GraphDefinition)).faults(Graph(workflow), measure(workflow))


def test_a_rule_that_says_nothing_refuses_nothing():
    """What is left out of a definition is not looked at."""
    assert faults(CORE) == []


def test_refused_nodes_are_named():
    """With `*` for anything; brackets and question marks are only letters of a name."""
    workflow = {**CORE, "9": node("Fetch[URL]?"), "10": node("LoadImage", image="a.png")}

    (fault,) = faults(workflow, refused_nodes=["Fetch[*]?", "@files"])

    assert fault.message == "These nodes may not be used here: Fetch[URL]?, LoadImage."


def test_only_allowed_nodes_may_be_used_where_they_are_listed():
    """An empty list allows none."""
    assert codes(CORE, allowed_nodes=["CheckpointLoader*", "EmptyLatentImage", "KSampler"]) == []
    assert codes(CORE, allowed_nodes=["KSampler"]) == ["node_refused"]
    assert codes(CORE, allowed_nodes=[]) == ["node_refused"]


@pytest.mark.parametrize("name", ["sd/tiny.safetensors", "SD/*", "*tiny*"])
def test_models_are_the_same_however_a_system_writes_their_folders(name):
    """Slashes and capitals do not matter."""
    assert codes(CORE, refused_models=[name]) == ["model_refused"]
    assert codes(CORE, allowed_models=[name]) == []


def test_models_are_found_in_lists_and_tables_too():
    """Nodes that load several LoRAs have a table for each."""
    stack = node("Power Lora Loader (rgthree)", lora_1={"on": True, "lora": "Other.safetensors"}, more=[["x.gguf"]])

    (fault,) = faults({**CORE, "9": stack}, allowed_models=["sd/tiny*"])

    assert fault.message == "These models may not be used here: Other.safetensors, x.gguf."


def test_nodes_that_are_known_to_read_files_and_to_use_the_network_have_names_of_their_own():
    """So that nobody need list them."""
    workflow = {**CORE, "9": node("LoadImage", image="a.png"), "10": node("OpenAIDalle3", prompt="a tree")}

    assert codes(workflow, refused_nodes=["@files"]) == ["node_refused"]
    for name in ("OpenAIDalle3", "FluxKontextProImageNode", "LtxvApiTextToVideo", "TopazVideoEnhance"):
        assert codes({**CORE, "10": node(name)}, refused_nodes=["@network"]) == ["node_refused"]
    assert codes(CORE, refused_nodes=["@files", "@network"]) == []


def test_bounds_are_told_with_what_was_asked_for_and_all_together():
    """Somebody who corrects one finds no other one behind it."""
    found = faults(CORE, pixels_at_most=512 * 512, batch_at_most=1, steps_at_most=19, frames_at_most=1)

    assert [fault.code for fault in found] == ["pixels_at_most", "batch_at_most", "steps_at_most"]
    assert found[0].message == "The largest picture would have 393,216 pixels; 262,144 are allowed."


def test_what_is_just_allowed_is_allowed():
    """A bound is the last that may be."""
    assert codes(CORE, pixels_at_most=512 * 768, batch_at_most=2, steps_at_most=20) == []


EXTENTS = [
    ({"8": node("LatentUpscaleBy", samples=["3", 0], scale_by=2.0)}, "pixels", 512 * 768 * 4),
    ({"8": node("ImageScale", width=2048, height=2048)}, "pixels", 2048 * 2048),
    ({"8": node("ImageScaleToTotalPixels", megapixels=4.0)}, "pixels", 4 * 1024 * 1024),
    ({"8": node("EmptyLatentImage", width="4096", height="4096")}, "pixels", 4096 * 4096),
    ({"8": node("Int", value=4096), "9": node("EmptyLatentImage", width=["8", 0], height=["8", 0])}, "pixels", 4096**2),
    ({"8": node("RepeatLatentBatch", samples=["5", 0], amount=8)}, "batch", 16),
    ({"8": node("EmptyHunyuanLatentVideo", width=64, height=64, length=121)}, "frames", 121),
    ({"8": node("KSampler", seed=1, steps=15, latent_image=["3", 0], positive=["6", 0])}, "steps", 35),
    (
        {
            "8": node(
                "KSamplerAdvanced", noise_seed=1, steps=30, start_at_step=20, end_at_step=10000, latent_image=["3", 0]
            )
        },
        "steps",
        30,
    ),
    (
        {"8": node("BasicScheduler", steps=12), "9": node("SamplerCustomAdvanced", sigmas=["8", 0], guider=["1", 0])},
        "steps",
        32,
    ),
    ({"8": node("Mystery", steps=1000)}, "steps", 1020),
]


@pytest.mark.parametrize(("more", "what", "value"), EXTENTS)
def test_nothing_in_a_workflow_gets_around_a_bound(more, what, value):
    """Factors, other nodes that set a size, numbers in quotes or behind links, and unknown samplers count."""
    assert getattr(measure({**CORE, **more}), what) == value


def test_whatever_is_no_workflow_asks_for_nothing():
    """Admission refuses it for that."""
    sized = {"1": {"class_type": 3, "inputs": {"width": {}}}}
    kinds: list[Any] = [None, [], {"1": None}, {"1": {"inputs": 3}}, sized]
    for nonsense in kinds:
        assert measure(nonsense) == measure({})
