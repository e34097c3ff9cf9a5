"""All facts of a workflow, and where in it they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from sidecar.comfyui.workflow_builder import Lora
from sidecar.comfyui.workflow_reader.extent import frames_of
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

    @property
    def is_complete(self) -> bool:
        return self.has_prompts and "seed" in self.values

    def completed_by(self, earlier: PassFacts) -> PassFacts:
        """With the prompts and the seed of an earlier pass where it has none."""
        texts = self.texts if self.has_prompts else earlier.texts
        seed = {name: value for name, value in earlier.values.items() if name == "seed"}
        return PassFacts(texts, {**seed, **self.values}, self.loras)


def read_workflow(workflow: Any) -> WorkflowFacts:
    """
    The facts of a workflow in ComfyUI's API format.

    With several samplers, those of the last one; prompts and seed that it does not have come from the one before.
    """
    graph = Graph(workflow)
    return facts_of(graph, completed(read_pass(graph, sampler) for sampler in passes(graph)))


def read(workflow: Any) -> Reading:
    """The facts, and where they stand; what earlier samplers say alike stands in several places."""
    graph = Graph(workflow)
    found = [read_pass(graph, sampler) for sampler in passes(graph)]
    decides = completed(iter(found))
    return Reading(facts_of(graph, decides), places_of([decides, *found[1:]]) if decides is not None else {})


def read_pass(graph: Graph, sampler: str) -> PassFacts:
    checkpoint, loras = find_models(graph, sampler)
    size = find_size(graph, sampler)
    named = {"checkpoint": checkpoint, "width": size.width, "height": size.height, "batch_size": size.batch_size}
    values = {name: value for name, value in named.items() if value is not None}
    texts = {name: find_texts(graph, sampler, role) for name, role in PROMPTS.items()}
    return PassFacts(texts, {**values, **find_settings(graph, sampler)}, loras)


def completed(found: Iterator[PassFacts]) -> PassFacts | None:
    """The last pass, completed by the nearest earlier ones; no more of them are looked at than needed."""
    decides = next(found, None)
    while decides is not None and not decides.is_complete:
        earlier = next(found, None)
        if earlier is None:
            break
        decides = decides.completed_by(earlier)
    return decides


def facts_of(graph: Graph, decides: PassFacts | None) -> WorkflowFacts:
    facts = WorkflowFacts(frames=max(frames_of(graph), default=None))
    read_tags(graph, facts)
    if decides is not None:
        facts.loras = decides.loras
        for name, texts in decides.texts.items():
            setattr(facts, name, joined(texts))
        for name, value in decides.values.items():
            setattr(facts.sampler if name in SamplerFacts.__struct_fields__ else facts, name, value.value)
    return facts


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
