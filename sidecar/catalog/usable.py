"""
May this be asked for? A model that is switched off or that nobody has is refused before anything is written.

Answered from memory, without a look into the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from sidecar.catalog.snapshot import Snapshot
from sidecar.comfyui.model_lists import ModelInput, ModelKind, is_name
from sidecar.comfyui.workflow_builder import Parameters
from sidecar.comfyui.workflow_builder.checking import MODEL_UNKNOWN

SWITCHED_OFF = "model_switched_off"
FOLLOW_LINKS_FOR = 16

WORDS = {ModelKind.CHECKPOINT: "checkpoint", ModelKind.LORA: "LoRA", ModelKind.VAE: "VAE"}


class ModelFault(Struct, frozen=True):
    """One name that cannot be used."""

    code: str
    message: str


class NodeFault(Struct, frozen=True):
    """One input of a node that names a model which cannot be used."""

    field: str
    code: str
    message: str
    node_id: str
    node_type: str


def fault_of_name(snapshot: Snapshot, kind: ModelKind, name: str) -> ModelFault | None:
    """Why a model cannot be used; None when it can, or when nobody can say."""
    model = snapshot.find(kind, name)
    if model is not None and not model.active:
        return ModelFault(SWITCHED_OFF, f"The {WORDS[kind]} {name} is switched off here. Choose another one.")
    if snapshot.knows_all(kind) and (model is None or not model.available):
        return ModelFault(MODEL_UNKNOWN, f"There is no {WORDS[kind]} {name} here. Choose one that `GET /models` lists.")
    return None


def switched_off_parameters(snapshot: Snapshot, parameters: Parameters) -> list[dict[str, str]]:
    """The field errors for models that are switched off; for unknown ones there is `Snapshot.options`."""
    named = [("checkpoint", ModelKind.CHECKPOINT, parameters.checkpoint)]
    named += [(f"loras[{place}].name", ModelKind.LORA, lora.name) for place, lora in enumerate(parameters.loras)]
    return [
        {"field": field, "code": fault.code, "message": fault.message}
        for field, kind, name in named
        if (fault := switched_off(snapshot, kind, name)) is not None
    ]


def faults_of_workflow(snapshot: Snapshot, workflow: Mapping[str, Any]) -> list[NodeFault]:
    """Every model that a workflow names and that cannot be used, each with its node and input."""
    return [
        NodeFault(
            field=f"workflow.{node_id}.inputs.{name}",
            code=fault.code,
            message=f"{node['class_type']} (node {node_id}): {fault.message}",
            node_id=node_id,
            node_type=node["class_type"],
        )
        for node_id, node in workflow.items()
        for name, fault in faults_of_node(snapshot, workflow, node)
    ]


def faults_of_node(
    snapshot: Snapshot, workflow: Mapping[str, Any], node: Mapping[str, Any]
) -> Iterator[tuple[str, ModelFault]]:
    inputs = node.get("inputs")
    if not isinstance(inputs, dict):
        return
    choosing = snapshot.inputs_of(node["class_type"])
    for name, value in inputs.items():
        chooses = choosing.get(name)
        if chooses is not None:
            fault = fault_of_choice(snapshot, chooses, value) or fault_behind_link(snapshot, workflow, chooses, value)
        else:
            fault = fault_of_entry(snapshot, value)
        if fault is not None:
            yield name, fault


def fault_of_choice(snapshot: Snapshot, chooses: ModelInput, value: Any) -> ModelFault | None:
    # What no database could hold was never listed: ComfyUI says what it thinks of it.
    if not is_name(value) or value in chooses.others:
        return None
    return fault_of_name(snapshot, chooses.kind, value)


def fault_behind_link(
    snapshot: Snapshot, workflow: Mapping[str, Any], chooses: ModelInput, value: Any
) -> ModelFault | None:
    """A name may be handed through by other nodes. Not every text there is one, so only what is switched off counts."""
    for _ in range(FOLLOW_LINKS_FOR):
        source = workflow.get(str(value[0])) if isinstance(value, list) and value else None
        inputs = source.get("inputs") if isinstance(source, dict) else None
        if not isinstance(inputs, dict):
            return None
        for text in inputs.values():
            fault = switched_off(snapshot, chooses.kind, text)
            if fault is not None:
                return fault
        value = next((link for link in inputs.values() if isinstance(link, list)), None)
    return None


def fault_of_entry(snapshot: Snapshot, value: Any) -> ModelFault | None:
    """Nodes that take any number of LoRAs (rgthree's) have an entry for each: `{"on", "lora", "strength"}`."""
    return switched_off(snapshot, ModelKind.LORA, value.get("lora")) if isinstance(value, dict) else None


def switched_off(snapshot: Snapshot, kind: ModelKind, name: Any) -> ModelFault | None:
    fault = fault_of_name(snapshot, kind, name) if isinstance(name, str) else None
    return fault if fault is not None and fault.code == SWITCHED_OFF else None
