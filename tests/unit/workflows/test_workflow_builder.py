"""The core workflow, and what is said before it is built."""

from __future__ import annotations

import math
import time

import pytest

from sidecar.comfyui.workflow_builder import (
    MAX_SEED,
    Bounds,
    Choices,
    Lora,
    Options,
    Parameters,
    build_workflow,
    check_parameters,
    in_field_order,
    with_listed_names,
)

WAYS_OUT = [
    *("../up", "a/../../b", "..\\up", "a\\..\\..\\b", "a/.. /b", "./a", "a//b", "a/"),
    *("/etc/passwd", "\\\\server\\share", "C:/x", "c:x", "a\nb", "a\0b", "a\ud800b", " ", ""),
]
KNOWN = Options(
    checkpoints=Choices(["sd15.safetensors", "SDXL\\juggernautXL_v9.safetensors"]),
    loras=Choices(["ink.safetensors", "style/oil.safetensors"]),
    samplers=Choices(["euler", "dpmpp_2m"]),
    schedulers=Choices(["normal", "karras"]),
)


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
    Nobody corrects a form one refusal at a time. They come in the order of its fields.
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
        "loras[0].name",
        "loras[0].strength_model",
        "loras[0].strength_clip",
        "width",
        "height",
        "batch_size",
        "seed",
        "steps",
        "cfg",
        "denoise",
    ]


@pytest.mark.parametrize("name", WAYS_OUT)
def test_a_name_never_leads_out_of_comfyuis_folders(name):
    """
    A checkpoint is named as ComfyUI lists it; a path to somewhere else is refused.
    """
    assert fields_with_faults(usable(checkpoint=name)) == ["checkpoint"]


@pytest.mark.parametrize(
    "name", ["sd15.safetensors", "anime/v1..2.safetensors", "SDXL\\foo.safetensors", "Ünïcode näme \U0001f98a.ckpt"]
)
def test_names_in_subfolders_and_other_languages_are_fine(name):
    """
    Only ways out are refused, not dots, blanks or umlauts; a ComfyUI on Windows separates folders with backslashes.
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


def test_a_name_that_nobody_has_is_told_with_the_likely_ones():
    """
    People misspell names; capitals, folders and endings are what they leave out.
    """
    errors = check_parameters(
        usable(checkpoint="JuggernautXL", loras=[Lora("ink.safetensors"), Lora("oil")], sampler_name="dpm_2m"), KNOWN
    )

    assert errors == [
        {
            "field": "checkpoint",
            "code": "model_unknown",
            "message": "There is no checkpoint JuggernautXL here. Did you mean SDXL\\juggernautXL_v9.safetensors?",
        },
        {
            "field": "loras[1].name",
            "code": "model_unknown",
            "message": "There is no LoRA oil here. Did you mean style/oil.safetensors?",
        },
        {
            "field": "sampler_name",
            "code": "choice_unknown",
            "message": "There is no sampler dpm_2m here. Did you mean dpmpp_2m?",
        },
    ]


def test_a_name_like_no_other_is_told_without_a_guess():
    """
    A bad guess is worse than none.
    """
    (error,) = check_parameters(usable(scheduler="zzz"), KNOWN)

    assert error["message"] == "There is no scheduler zzz here. Choose one that is listed."


def test_any_name_may_be_right_before_anything_is_known():
    """
    No ComfyUI has been seen yet: what is submitted waits for one, and that one decides.
    """
    assert check_parameters(usable(checkpoint="whatever.ckpt", sampler_name="new_one")) == []


def test_the_other_separator_names_the_same_model():
    """
    ComfyUI takes only the name that it lists itself, so that one goes into the workflow.
    """
    asked = usable(checkpoint="SDXL/juggernautXL_v9.safetensors", loras=[Lora("style\\oil.safetensors", 0.5)])

    built = build_workflow(with_listed_names(asked, KNOWN))

    assert check_parameters(asked, KNOWN) == []
    assert built["1"]["inputs"]["ckpt_name"] == "SDXL\\juggernautXL_v9.safetensors"
    assert built["2"]["inputs"]["lora_name"] == "style/oil.safetensors"
    assert built["2"]["inputs"]["strength_model"] == 0.5


def test_a_plan_may_allow_less():
    """
    Bounds come with the options, and the sentence names the ones that hold.
    """
    options = Options(bounds=Bounds(max_side_px=1024, max_batch=2, max_steps=30))

    errors = check_parameters(usable(width=1032, batch_size=3, steps=31), options)

    assert [error["message"] for error in errors] == [
        "Must be a multiple of 8 between 16 and 1024.",
        "Must be between 1 and 2.",
        "Must be between 1 and 30.",
    ]


def test_faults_of_several_checks_are_in_the_order_of_the_fields():
    """
    A form is corrected from top to bottom, its tenth LoRA after its second; what is no field comes last.
    """
    fields = ["workflow", "denoise", "loras[10].name", "loras[2].strength_clip", "loras[2].name", "loras", "prompt"]

    ordered = in_field_order({"field": field, "code": "", "message": ""} for field in fields)

    assert [error["field"] for error in ordered] == [
        *("prompt", "loras", "loras[2].name", "loras[2].strength_clip", "loras[10].name", "denoise", "workflow")
    ]


def test_misspelling_everything_costs_little():
    """
    Fifty wrong names against ten thousand known ones hold nobody up.
    """
    options = Options(loras=Choices(f"folder{i % 50}/some_lora_of_somebody_v{i}.safetensors" for i in range(10_000)))
    asked = usable(loras=[Lora(f"smoe_lora_of_somebody_{i}") for i in range(50)])

    begun = time.process_time()
    errors = check_parameters(asked, options)

    assert len(errors) == 50
    assert time.process_time() - begun < 1
