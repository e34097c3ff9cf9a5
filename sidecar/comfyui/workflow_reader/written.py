"""Every text that somebody wrote into a workflow, whichever node has it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import Struct

from sidecar.comfyui.workflow_reader.graph import Graph, Place
from sidecar.comfyui.workflow_reader.samplers import is_sampler
from sidecar.comfyui.workflow_reader.values import as_number

FILE_ENDINGS = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx")
# Inputs in which such a name is a model's and no prose. Anywhere else it is a text that somebody has written, whose end
# would be a way around every rule.
NAMES_A_MODEL = re.compile(r"name|model|ckpt|checkpoint|lora|vae|clip|unet|control_?net|adapter|file", re.IGNORECASE)
MODEL_CHARACTERS = 255  # of what file systems have
UNWANTED = "negative"
# What the input beside one of that name is called: `positive_prompt`, or `prompt`, beside `negative_prompt`.
BESIDE_UNWANTED = (("negative", "positive"), ("negative_", ""), ("_negative", ""))
# Inputs that take no prompt from whoever has encoded two of them, or takes all there is, to be handed on together.
TAKES_NO_PROMPT = re.compile(
    r"model|clip|vae|latent|samples|image|pixels|mask|video|audio|seed|depend|script|width|height|guider|sampler|sigmas"
)
TAKES_ALL = re.compile(r"pipe|ctx|context")
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
        for text in texts_in(value, name)
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
        self._crossed: dict[str, bool] = {}
        for node_id, inputs in graph.nodes.items():
            for name, value in inputs.items():
                source = graph.source(value)
                if source is not None:
                    self._of[source].append(Use(value[1], node_id, name))

    def is_unwanted(self, node_id: str, name: str) -> bool:
        """Does a text in this input only say what is not wanted?"""
        inputs = self._graph.nodes[node_id]
        if UNWANTED in name and any(name.replace(*each) in inputs.keys() - {name} for each in BESIDE_UNWANTED):
            return self._stays_unwanted(node_id, STEPS_AT_MOST)
        return self._leads_to_unwanted(node_id, None, STEPS_AT_MOST)

    def _stays_unwanted(self, node_id: str, steps: int) -> bool:
        """Of a node that has both prompts, whatever it is: does the one that is not wanted end as such?"""
        handed_on = [use for use in self._of[node_id] if use.name == UNWANTED]
        return not self._hands_on_crossed(node_id, steps) and all(self._ends_unwanted(use, steps) for use in handed_on)

    def _hands_on_crossed(self, node_id: str, steps: int) -> bool:
        """Such nodes hand on the wanted one before the other. May what they hand on later be wanted by somebody?"""
        if steps <= 0:
            return True
        if node_id not in self._crossed:
            self._crossed[node_id] = True  # whoever comes here again on the way has gone round in a circle
            uses = [use for use in self._of[node_id] if isinstance(use.output, int)]
            first = min((use.output for use in uses if use.name == UNWANTED), default=0)
            together = [use.by for use in uses if TAKES_ALL.search(use.name)]
            others = [use for use in uses if use.name != UNWANTED and not takes_no_prompt(use.name)]
            self._crossed[node_id] = any(use.output >= first for use in others) or any(
                self._hands_on_crossed(other, steps - 1) for other in together
            )
        return self._crossed[node_id]

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
        if ends:
            return self._pushes_away(use.by)
        if any(other.output == UNWANTED_OUTPUT and not takes_no_prompt(other.name) for other in self._of[use.by]):
            return self._leads_to_unwanted(use.by, UNWANTED_OUTPUT, steps)
        return self._pushes_away(use.by) and self._stays_unwanted(use.by, steps - 1)

    def _pushes_away(self, node_id: str) -> bool:
        """Below a guidance of 1 the image is drawn towards the negative prompt."""
        if "cfg" not in self._graph.nodes[node_id]:
            return True
        cfg = self._graph.find(node_id, "cfg", as_number)
        return cfg is not None and cfg.value >= 1


def takes_no_prompt(name: str) -> bool:
    """Does an input of this name take something else of whoever has both prompts?"""
    return TAKES_NO_PROMPT.search(name) is not None or TAKES_ALL.search(name) is not None


def texts_in(value: Any, name: str) -> Iterator[str]:
    """
    Args:
        name: Of the input.
    """
    waiting = [(name, value)]
    while waiting:
        name, one = waiting.pop()
        if isinstance(one, str):
            if one.strip() and not is_model(one, name):
                yield one
        elif isinstance(one, dict):
            waiting.extend(reversed([*((name, key) for key in one), *one.items()]))
        elif isinstance(one, list):
            waiting.extend((name, each) for each in reversed(one))


def is_model(text: str, name: str) -> bool:
    """Does an input of this name take it for a file of weights?"""
    is_file = len(text) <= MODEL_CHARACTERS and text.casefold().endswith(FILE_ENDINGS)
    return is_file and NAMES_A_MODEL.search(name) is not None
