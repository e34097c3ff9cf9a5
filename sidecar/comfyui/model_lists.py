"""
`/object_info` -> which models a ComfyUI has, and which inputs of which nodes choose one.

ComfyUI says of an input only what may be chosen there, not what it is. What the loaders of ComfyUI itself offer are the
models of a kind; any other input that offers all of these, whoever's node it is, chooses a model of that kind too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from msgspec import Struct, field

from sidecar.comfyui.model_names import MAX_NAME_CHARACTERS


class ModelKind(str, Enum):
    CHECKPOINT = "checkpoint"  #: everything that a picture needs, in one file
    LORA = "lora"  #: a small change to a checkpoint
    VAE = "vae"  #: turns latent images into pictures and back


# ComfyUI nodes.py: the class, and its input, whose choices are the models of a kind.
LOADERS = {
    ModelKind.CHECKPOINT: ("CheckpointLoaderSimple", "ckpt_name"),
    ModelKind.LORA: ("LoraLoader", "lora_name"),
    ModelKind.VAE: ("VAELoader", "vae_name"),
}
KIND_OF_INPUT = {name: kind for kind, (_class_type, name) in LOADERS.items()}
"""The names that inputs for models have in ComfyUI and, mostly, elsewhere: they tell where nothing is offered."""

SAMPLER = "KSampler"


class ModelInput(Struct, frozen=True):
    """An input of a node that chooses a model."""

    kind: ModelKind
    others: tuple[str, ...] = ()
    """What can be chosen there besides models of this kind: `None`, `[None]`, `Baked VAE`."""


Inputs = dict[str, dict[str, ModelInput]]
"""Node class -> input -> what it chooses."""


class ModelLists(Struct, frozen=True):
    """What one ComfyUI has."""

    names: dict[ModelKind, list[str]] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=dict)
    samplers: list[str] = field(default_factory=list)
    schedulers: list[str] = field(default_factory=list)
    node_classes: list[str] = field(default_factory=list)


def node_classes(workflow: Mapping[str, Any]) -> set[str]:
    """What a ComfyUI must know to run a workflow. What is no name is for it to refuse."""
    classes = [node.get("class_type") for node in workflow.values() if isinstance(node, Mapping)]
    return {str(class_type) for class_type in classes if is_name(class_type)}


def read_model_lists(object_info: Mapping[str, Any]) -> ModelLists:
    """The models, and the inputs that choose one. Nodes whose description cannot be read are left out."""
    choices = {class_type: dict(choices_of(node)) for class_type, node in object_info.items()}
    names = {kind: choices.get(class_type, {}).get(name, []) for kind, (class_type, name) in LOADERS.items()}
    inputs = {class_type: model_inputs(offered, names) for class_type, offered in choices.items()}
    sampler = choices.get(SAMPLER, {})
    return ModelLists(
        names=names,
        inputs={class_type: found for class_type, found in inputs.items() if found},
        samplers=sampler.get("sampler_name", []),
        schedulers=sampler.get("scheduler", []),
        node_classes=sorted(class_type for class_type in object_info if is_name(class_type)),
    )


def model_inputs(choices: Mapping[str, list[str]], names: Mapping[ModelKind, list[str]]) -> dict[str, ModelInput]:
    found: dict[str, ModelInput] = {}
    for name, offered in choices.items():
        kind = KIND_OF_INPUT.get(name) or kind_offered(offered, names)
        if kind is not None:
            models = set(names[kind])
            found[name] = ModelInput(kind, tuple(choice for choice in offered if choice not in models))
    return found


def kind_offered(offered: list[str], names: Mapping[ModelKind, list[str]]) -> ModelKind | None:
    """The kind whose every model can be chosen."""
    for kind, models in names.items():
        if 0 < len(models) <= len(offered) and set(models) <= set(offered):
            return kind
    return None


def choices_of(node: Any) -> Iterator[tuple[str, list[str]]]:
    """The inputs of a node at which one of several names is chosen, each with these names."""
    inputs = node.get("input") if isinstance(node, dict) else None
    for group in ("required", "optional"):
        members = inputs.get(group) if isinstance(inputs, dict) else None
        for name, specification in members.items() if isinstance(members, dict) else ():
            offered = offered_by(specification)
            if offered is not None:
                yield name, [choice for choice in offered if is_name(choice)]


def offered_by(specification: Any) -> list[Any] | None:
    """In the old form `[[choice, ...], {...}]` or the new one `["COMBO", {"options": [choice, ...]}]`."""
    if not isinstance(specification, list) or not specification:
        return None
    offered = specification[0]
    if offered == "COMBO" and len(specification) > 1 and isinstance(specification[1], dict):
        offered = specification[1].get("options")
    return offered if isinstance(offered, list) else None


def is_name(choice: Any) -> bool:
    """A text that every database can hold. Files on Linux may have names that are no text at all."""
    if not isinstance(choice, str) or not 0 < len(choice) <= MAX_NAME_CHARACTERS:
        return False
    return not any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in choice)
