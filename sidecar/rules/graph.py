"""What a workflow may be made of, and how much it may ask for, by whichever door it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import re2
from msgspec import UNSET, Meta, Struct, UnsetType

from sidecar.comfyui.workflow_reader import Extent, Graph
from sidecar.comfyui.workflow_reader.written import FILE_ENDINGS
from sidecar.rules.expressions import expression

NAMES_AT_MOST = 2000
NAMES_TOLD_AT_MOST = 5
NOTHING = r"[^\x00-\x{10FFFF}]"  # fits no character

SETS: Mapping[str, tuple[str, ...]] = {
    "@files": (
        *(
            "LoadImage",
            "LoadImageMask",
            "LoadImageOutput",
            "LoadImageSetFromFolderNode",
            "LoadImageTextSetFromFolderNode",
        ),
        *(
            "LoadImageDataSetFromFolder",
            "LoadImageTextDataSetFromFolder",
            "LoadAudio",
            "LoadVideo",
            "LoadLatent",
            "Load3D*",
        ),
        *(
            "Preview3D*",
            "LoadTrainingDataset",
            "LoraModelLoader",
            "VHS_Load*",
            "*LoadImage*FromPath*",
            "*Load Image Batch*",
        ),
        *(
            "*LoadText*",
            "*Load Text*",
            "*FromFile*",
            "*ImagesFromFolder*",
            "*FromDirectory*",
            "*ReadFile*",
            "*FileReader*",
        ),
    ),
    "@network": (
        *(
            "*API*",
            "*Api*",
            "Flux*ProNode",
            "Flux*ProImageNode",
            "FluxKontext*ImageNode",
            "FluxPro*",
            "Ideogram*",
            "Kling*",
            "Luma*",
            "Minimax*",
            "OpenAI*",
            "Pika*",
            "Pixverse*",
        ),
        *(
            "Recraft*",
            "Runway*",
            "Stability*",
            "Rodin3D*",
            "Tripo*",
            "Veo*",
            "Vidu*",
            "Gemini*",
            "Moonvalley*",
            "ByteDance*",
        ),
        *(
            "Topaz*Enhance",
            "Sora*",
            "*Download*",
            "*URL*",
            "*Url*",
            "*Http*",
            "*HTTP*",
            "*Webhook*",
            "*S3*",
            "*Upload*",
        ),
    ),
}
"""Nodes that read files by names in their inputs, and nodes that speak with other machines, as far as is known."""

Name = Annotated[str, Meta(min_length=1, max_length=200, description="A name, in which `*` stands for anything.")]
Names = Annotated[tuple[Name, ...], Meta(max_length=NAMES_AT_MOST)]
AtMost = Annotated[int, Meta(ge=1)]


class GraphDefinition(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a graph rule asks of every workflow. What is left out is not looked at."""

    allowed_nodes: Names | UnsetType = UNSET
    """No other ones. `@files` and `@network` name the known nodes that read files and that use the network."""
    refused_nodes: Names = ()
    allowed_models: Names | UnsetType = UNSET
    """No other ones, of whichever kind."""
    refused_models: Names = ()
    pixels_at_most: AtMost | None = None
    batch_at_most: AtMost | None = None
    frames_at_most: AtMost | None = None
    steps_at_most: AtMost | None = None


class GraphFault(Struct, frozen=True):
    """What a workflow may not have."""

    code: str
    message: str


class GraphRule:
    """A definition, ready to look at workflows."""

    def __init__(self, definition: GraphDefinition) -> None:
        self._definition = definition
        self._allowed_nodes = those_named(definition.allowed_nodes)
        self._refused_nodes = those_named(definition.refused_nodes)
        self._allowed_models = those_named(casefolded(definition.allowed_models))
        self._refused_models = those_named(casefolded(definition.refused_models))

    def faults(self, graph: Graph, extent: Extent) -> list[GraphFault]:
        """Everything that this rule does not allow."""
        return [
            *self._faulty_nodes(sorted(set(graph.types.values()))),
            *self._faulty_models(sorted(set(models_in(graph)))),
            *extent_faults(extent, self._definition),
        ]

    def _faulty_nodes(self, classes: Sequence[str]) -> Iterator[GraphFault]:
        refused = [name for name in classes if is_out(name, self._allowed_nodes, self._refused_nodes)]
        if refused:
            yield GraphFault("node_refused", f"These nodes may not be used here: {listed(refused)}.")

    def _faulty_models(self, models: Sequence[str]) -> Iterator[GraphFault]:
        refused = [name for name in models if is_out(plain_model(name), self._allowed_models, self._refused_models)]
        if refused:
            yield GraphFault("model_refused", f"These models may not be used here: {listed(refused)}.")


def extent_faults(extent: Extent, bounds: Any) -> Iterator[GraphFault]:
    """
    What is larger, longer or more than it may be.

    Args:
        bounds: Whatever has `pixels_at_most`, `batch_at_most`, `frames_at_most`, `steps_at_most`: a rule, or the limits
            of a plan.
    """
    if is_above(extent.pixels, bounds.pixels_at_most):
        message = f"The largest picture would have {extent.pixels:,} pixels; {bounds.pixels_at_most:,} are allowed."
        yield GraphFault("pixels_at_most", message)
    if is_above(extent.batch, bounds.batch_at_most):
        message = f"It would make {extent.batch:,} pictures at once; {bounds.batch_at_most:,} are allowed."
        yield GraphFault("batch_at_most", message)
    if is_above(extent.frames, bounds.frames_at_most):
        message = f"The video would have {extent.frames:,} frames; {bounds.frames_at_most:,} are allowed."
        yield GraphFault("frames_at_most", message)
    if is_above(extent.steps, bounds.steps_at_most):
        message = f"Its samplers would take {extent.steps:,} steps together; {bounds.steps_at_most:,} are allowed."
        yield GraphFault("steps_at_most", message)


def is_above(value: int, bound: int | None) -> bool:
    return bound is not None and value > bound


def models_in(graph: Graph) -> Iterator[str]:
    """Everything in an input, however deep it lies, that names a file of weights."""
    waiting = [value for inputs in graph.nodes.values() for value in inputs.values()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and value.casefold().endswith(FILE_ENDINGS):
            yield value
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def is_out(name: str, allowed: Any, refused: Any) -> bool:
    is_allowed = allowed is None or allowed.fullmatch(name)
    return not is_allowed or (refused is not None and bool(refused.fullmatch(name)))


def plain_model(name: str) -> str:
    """As rules name it, on whichever system it lies."""
    return name.replace("\\", "/").casefold()


def casefolded(names: Names | UnsetType) -> Names | UnsetType:
    return UNSET if isinstance(names, UnsetType) else tuple(map(plain_model, names))


def those_named(names: Names | UnsetType) -> Any:
    """
    One expression for all of them; None where nothing is said.

    An empty list of what is allowed allows nothing.
    """
    if isinstance(names, UnsetType):
        return None
    globs = [glob for name in names for glob in SETS.get(name, (name,))]
    return expression("|".join(map(as_expression, globs)) or NOTHING, dot_nl=True)


def as_expression(glob: str) -> str:
    """Only `*` means something: names of nodes have brackets and question marks in them."""
    return ".*".join(map(re2.escape, glob.split("*")))


def listed(names: Iterable[str]) -> str:
    told = list(names)
    more = len(told) - NAMES_TOLD_AT_MOST
    return ", ".join(told[:NAMES_TOLD_AT_MOST]) + (f" and {more} more" if more > 0 else "")
