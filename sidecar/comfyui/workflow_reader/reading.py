"""All facts of a workflow, and where in it they stand."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from sidecar.comfyui.workflow_builder import Lora
from sidecar.comfyui.workflow_reader.facts import SamplerFacts, WorkflowFacts
from sidecar.comfyui.workflow_reader.graph import Found, Graph, Place
from sidecar.comfyui.workflow_reader.models import find_models
from sidecar.comfyui.workflow_reader.samplers import find_settings, passes
from sidecar.comfyui.workflow_reader.sizes import find_size
from sidecar.comfyui.workflow_reader.tags import read_tags
from sidecar.comfyui.workflow_reader.texts import find_texts, joined

PROMPTS = {"prompt": "positive", "negative_prompt": "negative"}


class Reading(Struct):
    """`places` has the inputs in which a fact stands, by its name; a fact that no single input says has none."""

    facts: WorkflowFacts
    places: dict[str, list[Place]] = field(default_factory=dict)


class PassFacts(Struct):
    """What stands in front of one sampler."""

    texts: dict[str, list[Found[str]]]
    values: dict[str, Found[Any]]
    loras: list[Lora]

    @property
    def has_prompts(self) -> bool:
        return any(joined(texts) for texts in self.texts.values())


def read_workflow(workflow: Any) -> WorkflowFacts:
    """
    The facts of a workflow in ComfyUI's API format.

    With several samplers, those of the last one; prompts and seed that it does not have come from the one before.
    """
    return read(workflow).facts


def read(workflow: Any) -> Reading:
    """The facts, and where they stand; what earlier samplers say alike stands in several places."""
    graph = Graph(workflow)
    reading = Reading(WorkflowFacts())
    read_tags(graph, reading.facts)
    found = [read_pass(graph, sampler) for sampler in passes(graph)]
    if found:
        decides = completed(found)
        write_facts(reading.facts, decides)
        reading.places = places_of([decides, *found[1:]])
    return reading


def read_pass(graph: Graph, sampler: str) -> PassFacts:
    checkpoint, loras = find_models(graph, sampler)
    size = find_size(graph, sampler)
    named = {"checkpoint": checkpoint, "width": size.width, "height": size.height, "batch_size": size.batch_size}
    values = {name: value for name, value in named.items() if value is not None}
    texts = {name: find_texts(graph, sampler, role) for name, role in PROMPTS.items()}
    return PassFacts(texts, {**values, **find_settings(graph, sampler)}, loras)


def completed(found: list[PassFacts]) -> PassFacts:
    """The last pass, with the prompts and the seed of the nearest earlier one where it has none."""
    last = found[0]
    texts = next((earlier.texts for earlier in found if earlier.has_prompts), last.texts)
    seed = next((earlier.values["seed"] for earlier in found if "seed" in earlier.values), None)
    return PassFacts(texts, last.values if seed is None else {**last.values, "seed": seed}, last.loras)


def write_facts(facts: WorkflowFacts, decides: PassFacts) -> None:
    facts.loras = decides.loras
    for name, texts in decides.texts.items():
        setattr(facts, name, joined(texts))
    for name, value in decides.values.items():
        setattr(facts.sampler if name in SamplerFacts.__struct_fields__ else facts, name, value.value)


def places_of(found: list[PassFacts]) -> dict[str, list[Place]]:
    """
    Where each fact stands, also in earlier passes that say the same.

    Every pass counts for the seed: an image is another one only if its first noise is.
    """
    decides, *earlier = found
    places = {name: places_of_text(decides.texts[name]) for name in PROMPTS}
    for name, value in decides.values.items():
        places[name] = [value.place]
    for one in earlier:
        for name in PROMPTS:
            if joined(one.texts[name]) == joined(decides.texts[name]):
                places[name] += places_of_text(one.texts[name])
        for name, value in one.values.items():
            if name == "seed" or (name in decides.values and value.value == decides.values[name].value):
                places[name].append(value.place)
    return {name: list(dict.fromkeys(where)) for name, where in places.items() if where}


def places_of_text(texts: list[Found[str]]) -> list[Place]:
    """Nowhere where several texts are joined: nobody can say which of them to change."""
    written = {text.value for text in texts if text.value}
    return [text.place for text in texts if len(written) <= 1 and (text.value or not written)]
