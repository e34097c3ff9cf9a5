"""Every text that somebody wrote into a workflow, whichever node has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import Struct

from sidecar.comfyui.workflow_reader.graph import Graph, Place
from sidecar.comfyui.workflow_reader.samplers import is_sampler
from sidecar.comfyui.workflow_reader.values import as_number

FILE_ENDINGS = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx")  # a model's name is no prose
UNWANTED = "negative"
UNWANTED_OUTPUT = 1  # of nodes that take `positive` and `negative` and hand both on, in this order
STEPS_AT_MOST = 100  # from a text to a sampler


class Written(Struct, frozen=True):
    """A text, and the input in which it stands."""

    text: str
    place: Place
    is_negative: bool = False
    """It says what is not wanted, and nothing uses it for anything else."""


class Use(NamedTuple):
    """Where an output of a node leads."""

    output: Any
    by: str
    name: str


def read_written(workflow: Any) -> list[Written]:
    """All texts among the inputs, however deep they lie, but for the names of models; in the workflow's order."""
    graph = Graph(workflow)
    uses = Uses(graph)
    return [
        Written(text, Place(node_id, name), is_negative=uses.is_unwanted(node_id, name))
        for node_id, inputs in graph.nodes.items()
        for name, value in inputs.items()
        if graph.source(value) is None
        for text in texts_in(value)
    ]


class Uses:
    """
    What becomes of the texts of a workflow.

    In doubt a text is wanted: one that is taken for a negative prompt and is none would be a way around every rule.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._of: dict[str, list[Use]] = defaultdict(list)
        self._known: dict[tuple[str, int | None], bool] = {}
        for node_id, inputs in graph.nodes.items():
            for name, value in inputs.items():
                source = graph.source(value)
                if source is not None:
                    self._of[source].append(Use(value[1], node_id, name))

    def is_unwanted(self, node_id: str, name: str) -> bool:
        """Does a text in this input only say what is not wanted?"""
        if UNWANTED in name:  # loaders that encode as well have both prompts themselves
            return True
        return self._leads_to_unwanted(node_id, None, STEPS_AT_MOST)

    def _leads_to_unwanted(self, node_id: str, output: int | None, steps: int) -> bool:
        asked = (node_id, output)
        if asked not in self._known:
            self._known[asked] = False  # whoever comes here again on the way has gone round in a circle
            uses = [use for use in self._of[node_id] if output is None or use.output == output]
            self._known[asked] = bool(uses) and all(self._ends_unwanted(use, steps - 1) for use in uses)
        return self._known[asked]

    def _ends_unwanted(self, use: Use, steps: int) -> bool:
        ends = is_sampler(self._graph, use.by)
        if steps <= 0 or (ends and use.name != UNWANTED):
            return False
        if use.name != UNWANTED:
            return self._leads_to_unwanted(use.by, None, steps)
        goes_on = any(other.output == UNWANTED_OUTPUT for other in self._of[use.by])
        if ends or not goes_on:
            return self._pushes_away(use.by)
        return self._leads_to_unwanted(use.by, UNWANTED_OUTPUT, steps)

    def _pushes_away(self, node_id: str) -> bool:
        """Below a guidance of 1 the image is drawn towards the negative prompt."""
        if "cfg" not in self._graph.nodes[node_id]:
            return True
        cfg = self._graph.find(node_id, "cfg", as_number)
        return cfg is not None and cfg.value >= 1


def texts_in(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if one.strip() and not one.casefold().endswith(FILE_ENDINGS):
                yield one
        elif isinstance(one, dict):
            waiting.extend(reversed([*one.keys(), *one.values()]))
        elif isinstance(one, list):
            waiting.extend(reversed(one))
