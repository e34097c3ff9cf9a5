"""What can be read out of a workflow, and that reading never fails."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.comfyui.workflow_builder import MAX_SEED, Lora, Parameters, build_workflow
from sidecar.comfyui.workflow_reader import WorkflowFacts, read, read_workflow

GOLDEN = Path(__file__).parent / "golden"

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
names = st.text("abcdefgh_-. /", min_size=1, max_size=30)
finite = st.floats(-20, 20)
all_parameters = st.builds(
    Parameters,
    prompt=texts,
    negative_prompt=texts,
    checkpoint=names,
    loras=st.lists(st.builds(Lora, names, finite, finite), max_size=4),
    width=st.integers(2, 1024).map(lambda units: units * 8),
    height=st.integers(2, 1024).map(lambda units: units * 8),
    batch_size=st.integers(1, 64),
    seed=st.integers(0, MAX_SEED),
    steps=st.integers(1, 200),
    cfg=st.floats(0, 100),
    sampler_name=names,
    scheduler=names,
    denoise=st.floats(0, 1),
)
node_ids = st.sampled_from(["1", "2", "3"])
links = st.tuples(node_ids | st.integers(1, 3), st.integers(0, 2)).map(list)
values = links | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(node_ids, inner, max_size=3)
)
INPUT_NAMES = """
lora_stack lora_1 lora_name_1 switch_1 pipe scale_by amount pixels string_a string_b cond1 cfg_conds add_noise
positive negative conditioning model clip text latent_image samples guider noise sigmas sampler
seed steps cfg width height batch_size lora_name ckpt_name strength_model title tags value
"""
input_names = st.sampled_from(INPUT_NAMES.split())
class_types = st.sampled_from(
    ["KSampler", "SamplerCustomAdvanced", "LoraLoader", "ConditioningZeroOut", "GenonautTagGeneration", "Unheard"]
)
nodes = st.fixed_dictionaries({"class_type": class_types | anything, "inputs": st.dictionaries(input_names, anything)})


@given(all_parameters)
def test_what_was_built_is_read_back(parameters):
    """
    Every parameter that goes into a workflow can be read out of it.
    """
    facts = read_workflow(build_workflow(parameters))

    read = {**msgspec.structs.asdict(facts), **msgspec.structs.asdict(facts.sampler)}
    assert {name: read[name] for name in Parameters.__struct_fields__} == msgspec.structs.asdict(parameters)


@given(anything)
def test_anything_at_all_can_be_read(workflow):
    """
    A workflow may be any JSON; what is none has no facts.
    """
    assert isinstance(read_workflow(workflow), WorkflowFacts)


@settings(max_examples=150)
@given(st.dictionaries(node_ids, nodes | anything, max_size=3))
def test_workflows_that_make_no_sense_can_be_read_and_stored(workflow):
    """
    Links in circles, links to nowhere, numbers where texts belong: facts come out that every database stores.
    """
    facts = read_workflow(workflow)

    assert read(workflow).facts == facts
    json.dumps(msgspec.to_builtins(facts), allow_nan=False).encode("utf-8")
    assert "\0" not in facts.prompt + facts.negative_prompt + facts.title


@pytest.mark.parametrize("workflow", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_golden_workflows_are_read_as_a_person_reads_them(workflow):
    """
    Each file holds a workflow and the facts that somebody wrote down while looking at it.
    """
    golden = json.loads(workflow.read_text(encoding="utf-8"))

    facts = msgspec.to_builtins(read_workflow(golden["workflow"]))

    assert facts == {**msgspec.to_builtins(WorkflowFacts()), **golden["facts"]}


def as_ring(size: int) -> dict[str, Any]:
    return {str(i): {"class_type": "Reroute", "inputs": {"any": [str((i + 1) % size), 0]}} for i in range(size)}


def as_samplers_in_a_row(size: int) -> dict[str, Any]:
    inputs = {"positive": ["text", 0], "negative": ["text", 0], "model": ["checkpoint", 0]}
    row = {
        str(i): {"class_type": "KSampler", "inputs": {**inputs, "latent_image": [str(i + 1), 0]}} for i in range(size)
    }
    text = {"class_type": "CLIPTextEncode", "inputs": {"clip": ["checkpoint", 1], "text": "x"}}
    return {**row, "text": text}


def as_one_sampler_for_each_image(size: int) -> dict[str, Any]:
    return {str(i): {"class_type": "KSampler", "inputs": {"latent_image": ["e", 0], "seed": i}} for i in range(size)}


def as_texts_that_are_all_combined(size: int) -> dict[str, Any]:
    """Every encoder is handed its text through the same long chain."""
    chain = {f"s{i}": {"class_type": "ShowText", "inputs": {"text": [f"s{i + 1}", 0]}} for i in range(size // 2)}
    combined = {f"c{i}": ["e" + str(i), 0] for i in range(size // 2)}
    encoders = {
        f"e{i}": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["x", 0], "text": ["s0", 0]}}
        for i in range(size // 2)
    }
    last = {f"s{size // 2}": {"class_type": "PrimitiveString", "inputs": {"value": "deep"}}}
    sampler = {"class_type": "KSampler", "inputs": {"positive": ["all", 0], "latent_image": ["all", 0]}}
    return {**chain, **encoders, **last, "all": {"class_type": "Combine", "inputs": combined}, "sampler": sampler}


def as_loras_in_a_row(size: int) -> dict[str, Any]:
    inputs = {"lora_name": "x", "strength_model": 1, "strength_clip": 1}
    row = {
        str(i): {"class_type": "LoraLoader", "inputs": {**inputs, "model": [str(i + 1), 0], "clip": [str(i + 1), 1]}}
        for i in range(size)
    }
    return {**row, "sampler": {"class_type": "KSampler", "inputs": {"model": ["0", 0]}}}


def as_a_web(size: int) -> dict[str, Any]:
    """Each node has links to the twenty before it."""
    return {
        str(i): {"class_type": "KSampler", "inputs": {f"i{k}": [str(i - k), 0] for k in range(1, 21)}}
        for i in range(size)
    }


SHAPES = [
    as_ring,
    as_samplers_in_a_row,
    as_one_sampler_for_each_image,
    as_texts_that_are_all_combined,
    as_loras_in_a_row,
    as_a_web,
]


@pytest.mark.parametrize("shape", SHAPES)
def test_ten_times_the_nodes_take_ten_times_as_long(shape):
    """
    Whoever sends five thousand nodes, however they hang together, holds nobody up for long.
    """
    quick, slow = seconds_to_read(shape(500)), seconds_to_read(shape(5_000))

    assert slow < 30 * quick + 0.3


def seconds_to_read(workflow: dict[str, Any]) -> float:
    """Of this program's own time: others take theirs."""
    begun = time.process_time()
    read(workflow)
    return time.process_time() - begun


def test_a_text_through_thousands_of_nodes_is_found():
    """
    Reading keeps no call stack: thousands of nodes in a row are no trouble.
    """
    chain = {str(i): {"class_type": "Reroute", "inputs": {"any": [str(i + 1), 0]}} for i in range(10_000)}
    chain["10000"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "far.safetensors"}}
    chain["sampler"] = {"class_type": "KSampler", "inputs": {"model": ["0", 0]}}

    assert read_workflow(chain).checkpoint == "far.safetensors"
    assert read_workflow(as_texts_that_are_all_combined(2_000)).prompt == "deep"


def test_samplers_in_a_circle_are_read_all_the_same():
    """
    ComfyUI will refuse it; until then somebody wants to know what it was.
    """
    inputs = {"seed": 5, "model": ["c", 0]}
    workflow = {
        "a": {"class_type": "KSampler", "inputs": {**inputs, "latent_image": ["b", 0]}},
        "b": {"class_type": "KSampler", "inputs": {**inputs, "latent_image": ["a", 0]}},
        "c": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "m.ckpt"}},
    }

    facts = read_workflow(workflow)

    assert (facts.checkpoint, facts.sampler.seed) == ("m.ckpt", 5)


def test_of_two_images_the_saved_one_is_told():
    """
    The other branch only shows a preview, though it stands first.
    """
    workflow = {
        "1": {"class_type": "KSampler", "inputs": {"seed": 1, "latent_image": ["e", 0]}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "KSampler", "inputs": {"seed": 3, "latent_image": ["e", 0]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
    }

    assert read_workflow(workflow).sampler.seed == 3


def test_a_missing_negative_prompt_is_not_the_positive_one():
    """
    A sampler without a link for it has none.
    """
    workflow = {
        "1": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["x", 0], "text": "fox"}},
        "2": {"class_type": "KSampler", "inputs": {"positive": ["1", 0], "latent_image": ["x", 0]}},
    }

    facts = read_workflow(workflow)

    assert (facts.prompt, facts.negative_prompt) == ("fox", "")


@pytest.mark.parametrize(
    ("steps", "read"),
    [
        ("20", 20),
        (20.0, 20),
        ("20.0", 20),
        (" 20 ", 20),
        ("twenty", None),
        (20.5, None),
        (True, None),
        (-1, None),
        ([20], None),
        ("9" * 30, None),
        ("nan", None),
        (10**400, None),
    ],
)
def test_numbers_are_read_as_comfyui_takes_them(steps, read):
    """
    In quotes or not; what is no whole number is none.
    """
    workflow = {"1": {"class_type": "KSampler", "inputs": {"steps": steps, "latent_image": ["x", 0]}}}

    assert read_workflow(workflow).sampler.steps == read


def test_texts_that_no_database_stores_are_cleaned():
    """
    JSON may carry half a character or a NUL; PostgreSQL and UTF-8 know neither.
    """
    parameters = Parameters(prompt="a\0b\ud800c", checkpoint="x")

    assert read_workflow(build_workflow(parameters)).prompt == "ab?c"
