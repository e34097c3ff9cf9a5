"""The prompts: what was written, from the sampler's conditions back to whoever typed it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sidecar.comfyui.workflow_reader.graph import Found, Graph, Place
from sidecar.comfyui.workflow_reader.samplers import guided_by, is_sampler
from sidecar.comfyui.workflow_reader.values import as_text

FORGETS_THE_TEXT = frozenset({"ConditioningZeroOut"})
TEXT_INPUTS = (
    *("text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "llama"),
    *("prompt", "user_prompt", "populated_text", "string", "value"),
)
PART = re.compile(r"(text|string|prompt)_?([a-z]|\d+)")  # of nodes that join several
OTHER_CONDITIONS = re.compile(r"cond(itioning)?([_\d]|$)")


def find_texts(graph: Graph, sampler: str, role: str) -> list[Found[str]]:
    """
    Every text that leads to a sampler's conditions, empty ones too, in the order in which they are joined.

    Args:
        role: `positive` or `negative`.
    """
    return list(TextSearch(graph, role).found(guided_by(graph, sampler)))


class TextSearch:
    """One walk back from the conditions. Each node is looked at once, so that it ends in any workflow."""

    def __init__(self, graph: Graph, role: str) -> None:
        self.graph = graph
        self.role = role
        self.supplied: set[str] = set()

    def found(self, guided: str) -> Iterator[Found[str]]:
        if self.role_text(guided):
            yield from self.texts_in(guided, [self.role])
        for node_id in self.graph.upstream(self.first_links(guided), self.follow):
            yield from self.texts_in(node_id, self.text_names(node_id))

    def first_links(self, guided: str) -> list[Any]:
        inputs = self.graph.nodes[guided]
        if self.role in inputs:
            return [inputs[self.role]]
        conditions = [value for name, value in inputs.items() if OTHER_CONDITIONS.match(name)]
        if conditions or "positive" in inputs:
            return conditions if self.role == "positive" else []
        return self.graph.links(guided)

    def follow(self, node_id: str) -> list[Any]:
        if self.graph.types[node_id] in FORGETS_THE_TEXT or is_sampler(self.graph, node_id):
            return []
        if self.is_encoder(node_id) or self.role_text(node_id):
            return []
        inputs = self.graph.nodes[node_id]
        conditions = [inputs[name] for name in inputs if name == self.role or OTHER_CONDITIONS.match(name)]
        return conditions or self.graph.links(node_id)

    def text_names(self, node_id: str) -> list[str]:
        """The inputs of a node that hold the text which it encodes; none for a node that encodes nothing."""
        if is_sampler(self.graph, node_id):
            return []
        if self.role_text(node_id):
            return [self.role]
        inputs = self.graph.nodes[node_id]
        if not self.is_encoder(node_id) and self.graph.links(node_id):
            return []
        return [name for name in TEXT_INPUTS if name in inputs]

    def is_encoder(self, node_id: str) -> bool:
        inputs = self.graph.nodes[node_id]
        return "clip" in inputs and any(name in inputs for name in TEXT_INPUTS)

    def role_text(self, node_id: str) -> bool:
        """Loaders that encode as well have a text where others have a link (Efficiency nodes, Easy Use)."""
        return isinstance(self.graph.nodes[node_id].get(self.role), str)

    def texts_in(self, node_id: str, names: list[str]) -> Iterator[Found[str]]:
        waiting = [Place(node_id, name) for name in reversed(names)]
        while waiting:
            place = waiting.pop()
            source = self.graph.source(self.graph.at(place))
            if source is None:
                text = as_text(self.graph.at(place))
                if text is not None:
                    yield Found(text, place)
            elif source not in self.supplied:
                self.supplied.add(source)
                waiting.extend(reversed(self.supplying(source, place.name)))

    def supplying(self, node_id: str, name: str) -> list[Place]:
        """Where a node that only supplies a text has it; several places in a node that joins them."""
        inputs = self.graph.nodes[node_id]
        possible = [other for other, value in inputs.items() if isinstance(value, str) or self.graph.source(value)]
        ours = (f"text_{self.role}", self.role, f"{self.role}_prompt", f"{self.role}_text")
        for likely in (*ours, name, *TEXT_INPUTS):
            if likely in possible:
                return [Place(node_id, likely)]
        parts = [other for other in possible if PART.fullmatch(other)]
        if not parts and len(possible) == 1:
            parts = possible
        return [Place(node_id, part) for part in parts]


def joined(texts: list[Found[str]]) -> str:
    """Several texts line by line, each once."""
    return "\n".join(dict.fromkeys(text.value for text in texts if text.value))
