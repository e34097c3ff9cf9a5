"""The core workflow, and what is said before it is built."""

from __future__ import annotations

import math

import pytest

from sidecar.comfyui.workflow_builder import MAX_SEED, Lora, Parameters, build_workflow, check_parameters


def fields_with_faults(parameters: Parameters) -> list[str]:
    return [error["field"] for error in check_parameters(parameters)]


def usable(**changes: object) -> Parameters:
    return Parameters(**{"checkpoint": "sd15.safetensors", **changes})  # type: ignore[arg-type]


def test_the_core_workflow_is_what_comfyui_executes():
    """
    One LoRA, everything said: node by node as ComfyUI's own save in API format would have it.
    """
    parameters = Parameters(
        prompt="a fox",
        negative_prompt="blur",
        checkpoint="sd15.safetensors",
        loras=[Lora("ink.safetensors", 0.5, 0.25)],
        width=640,
        height=384,
        batch_size=2,
        seed=7,
        steps=12,
        cfg=5.5,
        sampler_name="dpmpp_2m",
        scheduler="karras",
        denoise=0.9,
    )

    workflow = build_workflow(parameters)

    assert workflow == {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}},
        "2": {
            "class_type": "LoraLoader",
            "inputs": {
                "model": ["1", 0],
                "clip": ["1", 1],
                "lora_name": "ink.safetensors",
                "strength_model": 0.5,
                "strength_clip": 0.25,
            },
        },
        "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 1], "text": "a fox"}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 1], "text": "blur"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 384, "batch_size": 2}},
        "6": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["2", 0],
                "positive": ["3", 0],
                "negative": ["4", 0],
                "latent_image": ["5", 0],
                "seed": 7,
                "steps": 12,
                "cfg": 5.5,
                "sampler_name": "dpmpp_2m",
                "scheduler": "karras",
                "denoise": 0.9,
            },
        },
        "7": {"class_type": "VAEDecode", "inputs": {"samples": ["6", 0], "vae": ["1", 2]}},
        "8": {"class_type": "GenonautSaveImage", "inputs": {"images": ["7", 0], "filename_prefix": "genonaut/image"}},
    }


def test_each_lora_changes_what_the_one_before_it_left():
    """
    LoRAs are chained in the order in which they are named.
    """
    workflow = build_workflow(usable(loras=[Lora("first"), Lora("second")]))

    assert workflow["3"]["inputs"]["lora_name"] == "second"
    assert workflow["3"]["inputs"]["model"] == ["2", 0]
    assert workflow["3"]["inputs"]["clip"] == ["2", 1]


def test_without_a_seed_every_workflow_gets_its_own():
    """
    No seed means another image each time, never a fixed default.
    """
    seeds = {build_workflow(usable())["5"]["inputs"]["seed"] for _ in range(8)}

    assert len(seeds) == 8


def test_usable_parameters_have_no_faults():
    """
    The defaults with a checkpoint can be submitted as they are.
    """
    assert check_parameters(usable()) == []


def test_all_faults_are_told_together():
    """
    Nobody corrects a form one refusal at a time.
    """
    parameters = Parameters(
        prompt="x" * 20_001,
        width=100,
        height=0,
        batch_size=65,
        seed=-1,
        steps=0,
        cfg=math.nan,
        denoise=1.5,
        loras=[Lora("../secret", 21, -math.inf)],
    )

    assert fields_with_faults(parameters) == [
        "prompt",
        "checkpoint",
        "width",
        "height",
        "batch_size",
        "seed",
        "steps",
        "cfg",
        "denoise",
        "loras[0].name",
        "loras[0].strength_model",
        "loras[0].strength_clip",
    ]


@pytest.mark.parametrize("name", ["../up", "a/../../b", "/etc/passwd", "C:/x", "a\\b", "a\nb", " ", ""])
def test_a_name_never_leads_out_of_comfyuis_folders(name):
    """
    A checkpoint is named as ComfyUI lists it; a path to somewhere else is refused.
    """
    assert fields_with_faults(usable(checkpoint=name)) == ["checkpoint"]


@pytest.mark.parametrize("name", ["sd15.safetensors", "anime/v1..2.safetensors", "Ünïcode näme.ckpt"])
def test_names_in_subfolders_and_other_languages_are_fine(name):
    """
    Only ways out are refused, not dots, blanks or umlauts.
    """
    assert check_parameters(usable(checkpoint=name)) == []


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("width", 16, 8192),
        ("height", 16, 8192),
        ("batch_size", 1, 64),
        ("seed", 0, MAX_SEED),
        ("steps", 1, 200),
        ("cfg", 0, 100),
        ("denoise", 0, 1),
    ],
)
def test_limits_belong_to_what_they_allow(field, least, most):
    """
    The least and the most that are named can be used; one step further cannot.
    """
    assert check_parameters(usable(**{field: least})) == check_parameters(usable(**{field: most})) == []
    assert fields_with_faults(usable(**{field: least - 8})) == [field]
    assert fields_with_faults(usable(**{field: most + 8})) == [field]
