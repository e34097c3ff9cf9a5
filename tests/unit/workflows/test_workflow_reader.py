"""What can be read out of a workflow, and that reading never fails."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.comfyui.workflow_builder import MAX_SEED, Lora, Parameters, build_workflow
from sidecar.comfyui.workflow_reader import WorkflowFacts, read_workflow

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
positive negative conditioning model clip text latent_image samples guider noise sigmas sampler
seed steps cfg width height batch_size lora_name ckpt_name strength_model title tags value
"""
input_names = st.sampled_from(INPUT_NAMES.split())
class_types = st.sampled_from(["KSampler", "SamplerCustomAdvanced", "LoraLoader", "GenonautTagGeneration", "Unheard"])
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


@settings(max_examples=400)
@given(st.dictionaries(node_ids, nodes | anything, max_size=3))
def test_workflows_that_make_no_sense_can_be_read_and_stored(workflow):
    """
    Links in circles, links to nowhere, numbers where texts belong: facts come out that every database stores.
    """
    facts = read_workflow(workflow)

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


def test_a_very_long_chain_is_followed_to_its_end():
    """
    Reading keeps no call stack: ten thousand nodes in a row are no trouble.
    """
    chain = {str(i): {"class_type": "Reroute", "inputs": {"any": [str(i + 1), 0]}} for i in range(10_000)}
    chain["10000"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "far.safetensors"}}
    chain["sampler"] = {"class_type": "KSampler", "inputs": {"model": ["0", 0]}}

    assert read_workflow(chain).checkpoint == "far.safetensors"


def test_texts_that_no_database_stores_are_cleaned():
    """
    JSON may carry half a character or a NUL; PostgreSQL and UTF-8 know neither.
    """
    parameters = Parameters(prompt="a\0b\ud800c", checkpoint="x")

    assert read_workflow(build_workflow(parameters)).prompt == "ab?c"
