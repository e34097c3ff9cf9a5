"""The LoRAs that one node applies: a loader has one, a stack several, in one of the forms that packs gave them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sidecar.comfyui.workflow_builder import Lora
from sidecar.comfyui.workflow_reader.graph import Graph
from sidecar.comfyui.workflow_reader.values import as_count, as_name, as_number

NUMBERED = re.compile(r"lora_(?:name_)?(\d+)(?:_name)?")
BOTH_STRENGTHS = ("lora_wt_{n}", "strength_{n}", "lora_{n}_strength")
MODEL_STRENGTHS = ("model_str_{n}", "model_weight_{n}", "lora_{n}_model_strength")
CLIP_STRENGTHS = ("clip_str_{n}", "clip_weight_{n}", "lora_{n}_clip_strength")
OFF = ("Off", "off", False)


def loras_of(graph: Graph, node_id: str) -> Iterator[Lora]:
    """First to last, without those that are switched off."""
    inputs = graph.nodes[node_id]
    if "lora_name" in inputs:
        yield from single(graph, node_id)
    if inputs.get("toggle") in OFF:
        return
    for name, value in inputs.items():
        numbered = NUMBERED.fullmatch(name)
        if numbered is not None and isinstance(value, dict):
            yield from entry(value)
        elif numbered is not None:
            yield from one_of_a_stack(graph, node_id, name, numbered[1])


def single(graph: Graph, node_id: str) -> Iterator[Lora]:
    """A loader of ComfyUI's own, or one that loads the checkpoint as well (Efficiency nodes, Easy Use)."""
    name = graph.find(node_id, "lora_name", as_name)
    if name is None:
        return
    inputs = graph.nodes[node_id]
    changes_texts = "clip" in inputs or "ckpt_name" in inputs
    strength_model = strength(graph, node_id, "strength_model", "lora_model_strength")
    strength_clip = strength(graph, node_id, "strength_clip", "lora_clip_strength") if changes_texts else 0.0
    yield Lora(name.value, strength_model, strength_clip)


def one_of_a_stack(graph: Graph, node_id: str, name: str, number: str) -> Iterator[Lora]:
    """`lora_name_1` with its strengths (Efficiency nodes, Comfyroll, Easy Use), `lora_01` (rgthree)."""
    inputs = graph.nodes[node_id]
    shown = as_count(inputs.get("lora_count", inputs.get("num_loras")))
    chosen = graph.find(node_id, name, as_name)
    if chosen is None or inputs.get(f"switch_{number}") in OFF or (shown is not None and int(number) > shown):
        return
    both = tuple(form.format(n=number) for form in BOTH_STRENGTHS)
    if "simple" in (inputs.get("input_mode"), inputs.get("mode")):
        yield Lora(chosen.value, strength(graph, node_id, *both), strength(graph, node_id, *both))
        return
    for_model = tuple(form.format(n=number) for form in MODEL_STRENGTHS)
    for_clip = tuple(form.format(n=number) for form in CLIP_STRENGTHS)
    yield Lora(chosen.value, strength(graph, node_id, *for_model, *both), strength(graph, node_id, *for_clip, *both))


def entry(value: dict[str, Any]) -> Iterator[Lora]:
    """An entry of rgthree's Power Lora Loader; its second strength is there only where both differ."""
    name = as_name(value.get("lora"))
    if name is None or value.get("on") in OFF:
        return
    first, second = as_number(value.get("strength")), as_number(value.get("strengthTwo"))
    for_model = 1.0 if first is None else first
    yield Lora(name, for_model, for_model if second is None else second)


def strength(graph: Graph, node_id: str, *names: str) -> float:
    """The first of these inputs that is a number; 1, as loaders have it, where none is."""
    found = (graph.find(node_id, name, as_number) for name in names)
    return next((number.value for number in found if number is not None), 1.0)
