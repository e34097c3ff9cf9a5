"""What may be asked for, and what a refusal says."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from sidecar.catalog.snapshot import InstanceListing, KnownModel, Snapshot
from sidecar.catalog.usable import SWITCHED_OFF, fault_of_name, faults_of_workflow
from sidecar.comfyui.model_lists import Inputs, ModelInput, ModelKind
from sidecar.comfyui.workflow_builder.checking import MODEL_UNKNOWN
from sidecar.identity import now, uuid7

CHECKPOINT, LORA, VAE = ModelKind
HERE = (uuid7(),)
INPUTS: Inputs = {
    "CheckpointLoaderSimple": {"ckpt_name": ModelInput(CHECKPOINT)},
    "LoraLoader": {"lora_name": ModelInput(LORA, ("None",))},
}


def model(kind: ModelKind, name: str, *, active: bool = True, instances: tuple[UUID, ...] = HERE) -> KnownModel:
    return KnownModel(uuid7(), kind, name, active, now(), now(), instances)


def snapshot(*models: KnownModel) -> Snapshot:
    return Snapshot((1, 1), models, [InstanceListing(INPUTS)])


def loading(checkpoint: Any) -> dict[str, Any]:
    return {"4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}}}


def test_a_model_that_is_there_and_active_may_be_used() -> None:
    """
    Nothing is said against it.
    """
    assert faults_of_workflow(snapshot(model(CHECKPOINT, "a.safetensors")), loading("a.safetensors")) == []


def test_a_switched_off_model_is_refused_with_its_node_and_its_name() -> None:
    """
    Who submitted a hundred nodes must know which one is meant, and why.
    """
    (fault,) = faults_of_workflow(snapshot(model(CHECKPOINT, "a.ckpt", active=False)), loading("a.ckpt"))

    assert (fault.code, fault.field) == (SWITCHED_OFF, "workflow.4.inputs.ckpt_name")
    assert fault.message == (
        "CheckpointLoaderSimple (node 4): The checkpoint a.ckpt is switched off here. Choose another one."
    )


def test_a_model_that_nobody_has_is_refused() -> None:
    """
    It could only fail later.
    """
    (fault,) = faults_of_workflow(snapshot(), loading("gone.ckpt"))

    assert (fault.code, fault.node_id) == (MODEL_UNKNOWN, "4")
    assert "There is no checkpoint gone.ckpt here" in fault.message


def test_a_model_that_vanished_from_every_instance_is_unknown() -> None:
    """
    It stays in the catalogue for the sake of what was made with it.
    """
    (fault,) = faults_of_workflow(snapshot(model(CHECKPOINT, "a.ckpt", instances=())), loading("a.ckpt"))

    assert fault.code == MODEL_UNKNOWN


def test_before_any_instance_was_asked_nothing_is_unknown() -> None:
    """
    Then only ComfyUI can say; what is switched off stays so.
    """
    never_asked = Snapshot((1, 1), [model(CHECKPOINT, "off.ckpt", active=False)])

    assert fault_of_name(never_asked, CHECKPOINT, "whatever.ckpt") is None
    assert fault_of_name(never_asked, CHECKPOINT, "off.ckpt") is not None


def test_folders_may_be_separated_either_way() -> None:
    """
    A workflow from Windows names the same model.
    """
    assert fault_of_name(snapshot(model(LORA, "style\\a.safetensors")), LORA, "style/a.safetensors") is None


def test_what_a_node_offers_besides_models_is_no_model() -> None:
    """
    `None` is a choice, and no LoRA is missing.
    """
    workflow = {"1": {"class_type": "LoraLoader", "inputs": {"lora_name": "None"}}}

    assert faults_of_workflow(snapshot(), workflow) == []


def test_one_name_of_two_kinds_is_two_models() -> None:
    """
    Switching off a LoRA leaves the checkpoint of the same name alone.
    """
    known = snapshot(model(LORA, "a.safetensors", active=False), model(CHECKPOINT, "a.safetensors"))

    assert faults_of_workflow(known, loading("a.safetensors")) == []


@pytest.mark.parametrize(
    "source",
    [
        {"5": {"class_type": "PrimitiveString", "inputs": {"value": "off.ckpt"}}},
        {
            "5": {"class_type": "Reroute", "inputs": {"anything": ["6", 0]}},
            "6": {"class_type": "String", "inputs": {"text": "off.ckpt"}},
        },
    ],
    ids=["from another node", "through several"],
)
def test_a_switched_off_model_does_not_come_in_through_a_link(source: dict[str, Any]) -> None:
    """
    Another node can hand the name over.
    """
    known = snapshot(model(CHECKPOINT, "off.ckpt", active=False))

    assert [fault.code for fault in faults_of_workflow(known, loading(["5", 0]) | source)] == [SWITCHED_OFF]


def test_a_circle_of_links_ends() -> None:
    """
    A workflow may be any nonsense.
    """
    circle = {"5": {"class_type": "Reroute", "inputs": {"x": ["5", 0]}}}

    assert faults_of_workflow(snapshot(), loading(["5", 0]) | circle) == []


def test_a_list_of_loras_in_one_node_is_seen() -> None:
    """
    Some nodes take any number of them, and ComfyUI says nothing of these inputs.
    """
    entry = {"on": True, "lora": "off.safetensors", "strength": 1}
    workflow = {"1": {"class_type": "Power Lora Loader (rgthree)", "inputs": {"lora_1": entry}}}

    (fault,) = faults_of_workflow(snapshot(model(LORA, "off.safetensors", active=False)), workflow)

    assert fault.field == "workflow.1.inputs.lora_1"


@pytest.mark.parametrize("value", [None, 7, [], [[]], {}, "x" * 500, "\ud800"])
def test_a_value_that_is_no_name_is_left_to_comfyui(value: Any) -> None:
    """
    It says itself what is wrong with it.
    """
    assert faults_of_workflow(snapshot(), loading(value)) == []


@pytest.mark.parametrize("inputs", [None, [], "text"])
def test_a_node_without_inputs_is_left_to_comfyui(inputs: Any) -> None:
    """
    The same.
    """
    assert faults_of_workflow(snapshot(), {"1": {"class_type": "LoraLoader", "inputs": inputs}}) == []


def test_what_can_be_chosen_on_any_instance_can_be_chosen() -> None:
    """
    Two instances offer different things; a generation goes to the one that has them.
    """
    one = InstanceListing({"LoraLoader": {"lora_name": ModelInput(LORA, ("None",))}}, ("euler",), ("normal",))
    other = InstanceListing({"LoraLoader": {"lora_name": ModelInput(LORA, ("[None]",))}}, ("euler", "own"), ())

    known = Snapshot((1, 1), [], [one, other])

    assert known.inputs_of("LoraLoader")["lora_name"].others == ("None", "[None]")
    assert known.samplers == ("euler", "own")
