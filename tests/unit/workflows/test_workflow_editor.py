"""Asking again with something else: what changes, where, and what nobody can say."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import msgspec

from sidecar.comfyui.workflow_builder import Lora, Parameters, build_workflow
from sidecar.comfyui.workflow_editor import override
from sidecar.comfyui.workflow_reader import Place, read_workflow

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> dict[str, Any]:
    workflow: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))["workflow"]
    return workflow


def test_what_our_builder_made_can_change_in_everything():
    """
    A generation by parameters is built anew, so that its LoRAs may be others too.
    """
    before = Parameters(prompt="a fox", checkpoint="a.safetensors", loras=[Lora("ink")], seed=1)
    wanted = {"seed": 2, "loras": [Lora("oil", 0.5, 0.5), Lora("ink")], "steps": 5}

    edited = override(build_workflow(before), wanted)

    assert edited.workflow == build_workflow(msgspec.structs.replace(before, **wanted))
    assert edited.unlocated == []


def test_a_parameter_changes_where_it_is_written():
    """
    The page's own workflow keeps its nodes, its numbers and its way to save; one input is another one.
    """
    workflow = golden("core_workflow_of_the_page")
    before = copy.deepcopy(workflow)

    edited = override(workflow, {"seed": 5, "prompt": "a fox", "negative_prompt": "", "width": 768})

    assert workflow == before
    assert edited.changed == {
        Place("3", "seed"): 5,
        Place("6", "text"): "a fox",
        Place("7", "text"): "",
        Place("5", "width"): 768,
    }
    assert edited.workflow["3"]["inputs"] == {**before["3"]["inputs"], "seed": 5}
    assert edited.workflow["9"] is workflow["9"]


def test_every_parameter_of_the_pages_own_workflow_can_change():
    """
    What is read back afterwards is what was wanted.
    """
    texts = {
        "prompt": "x",
        "negative_prompt": "y",
        "checkpoint": "z.ckpt",
        "sampler_name": "heun",
        "scheduler": "karras",
    }
    numbers = {"width": 64, "height": 72, "batch_size": 3, "seed": 9, "steps": 3, "cfg": 2.5, "denoise": 0.5}
    wanted = {**texts, **numbers}

    edited = override(golden("core_workflow_of_the_page"), wanted)

    facts = read_workflow(edited.workflow)
    read = {**msgspec.structs.asdict(facts), **msgspec.structs.asdict(facts.sampler)}
    assert edited.unlocated == []
    assert {name: read[name] for name in wanted} == wanted


def test_a_value_that_a_node_of_its_own_supplies_changes_there():
    """
    Whoever else uses that node's value goes on agreeing with it.
    """
    edited = override(golden("flux_with_a_custom_sampler_and_tags"), {"prompt": "a harbour", "seed": 1})

    assert edited.changed == {Place("6", "value"): "a harbour", Place("9", "noise_seed"): 1}


def test_a_new_seed_is_new_in_every_pass():
    """
    A second pass refines what the first one made: with the first seed left alone the image would hardly change.
    """
    edited = override(golden("two_passes_with_controlnet_and_two_loras"), {"seed": 77})

    assert edited.changed == {Place("15", "seed"): 77, Place("14", "noise_seed"): 77}


def test_what_cannot_be_located_is_named():
    """
    Two texts that were joined, a CFG that the guider does not have, LoRAs of somebody else's workflow.
    """
    joined = override(golden("two_passes_with_controlnet_and_two_loras"), {"prompt": "x", "width": 64, "loras": []})
    guided = override(golden("flux_with_a_custom_sampler_and_tags"), {"cfg": 2.0, "steps": 4})

    assert joined.unlocated == ["prompt", "width", "loras"]
    assert joined.workflow == golden("two_passes_with_controlnet_and_two_loras")
    assert guided.unlocated == ["cfg"]
    assert guided.changed == {Place("11", "steps"): 4}


def test_one_text_for_both_prompts_is_not_changed_for_one_of_them():
    """
    The same node supplies both prompts: a new prompt would be a new negative prompt too.
    """
    workflow = {
        "t": {"class_type": "PrimitiveString", "inputs": {"value": "fox"}},
        "c": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "m"}},
        "e": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["c", 1], "text": ["t", 0]}},
        "k": {"class_type": "KSampler", "inputs": {"positive": ["e", 0], "negative": ["e", 0], "latent_image": []}},
    }

    edited = override(workflow, {"prompt": "wolf"})

    assert edited.unlocated == ["prompt"]
    assert edited.changed == {}
