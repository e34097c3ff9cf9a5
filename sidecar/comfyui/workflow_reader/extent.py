"""How much a workflow asks for, at most: of the largest picture, of all samplers together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any

from msgspec import Struct

from sidecar.comfyui.workflow_reader.graph import Graph, Place
from sidecar.comfyui.workflow_reader.samplers import find_settings, is_sampler, samples_somehow
from sidecar.comfyui.workflow_reader.sizes import find_sides
from sidecar.comfyui.workflow_reader.values import MAX_COUNT, as_count, as_number, as_size

SCALES = ("scale_by", "upscale_by")
MEGAPIXELS = "megapixels"
PIXELS_OF_ONE = 1024 * 1024  # as ImageScaleToTotalPixels counts them
FRAMES = ("video_frames", "num_frames", "frame_count", "frames")
FRAMES_OF_A_VIDEO = "length"  # in a node that has a size as well


class Extent(Struct, frozen=True):
    """
    How large, how long, how many. 0 where the workflow does not say: sizes of files that are loaded, and factors that
    are computed, are nobody's to know before it runs.
    """

    pixels: int = 0
    """Width times height of the largest picture, with every factor by which something in it is scaled."""
    batch: int = 0
    """Pictures at once, with everything that repeats them."""
    frames: int = 0
    """Of the longest video."""
    steps: int = 0
    """Of all samplers together."""


def measure(workflow: Any) -> Extent:
    """The extent of a workflow in ComfyUI's API format; rather too much than too little."""
    graph = Graph(workflow)
    return Extent(
        pixels=bounded(largest(pixels_of(graph)) * product(factors(graph)) ** 2),
        batch=bounded(largest(counts(graph, "batch_size")) * product(counts(graph, "amount"))),
        frames=bounded(largest(frames_of(graph))),
        steps=bounded(steps_of(graph)),
    )


def pixels_of(graph: Graph) -> Iterator[float]:
    for node_id in graph.nodes:
        width, height = find_sides(graph, node_id)
        if width is not None and height is not None:
            yield width.value * height.value
        megapixels = graph.find(node_id, MEGAPIXELS, as_number)
        if megapixels is not None:
            yield megapixels.value * PIXELS_OF_ONE


def factors(graph: Graph) -> Iterator[float]:
    for node_id in graph.nodes:
        for name in SCALES:
            found = graph.find(node_id, name, as_number)
            if found is not None and found.value > 1:
                yield found.value


def frames_of(graph: Graph) -> Iterator[int]:
    for name in FRAMES:
        yield from counts(graph, name)
    for node_id, inputs in graph.nodes.items():
        if "width" in inputs and "height" in inputs:
            found = graph.find(node_id, FRAMES_OF_A_VIDEO, as_size)
            if found is not None:
                yield found.value


def counts(graph: Graph, name: str) -> Iterator[int]:
    for node_id in graph.nodes:
        found = graph.find(node_id, name, as_size)
        if found is not None:
            yield found.value


def steps_of(graph: Graph) -> int:
    """What each sampler does; and what stands in nodes of which nobody knows who follows them."""
    counted: set[Place] = set()
    total = 0
    for node_id in graph.nodes:
        if is_sampler(graph, node_id) or samples_somehow(graph, node_id):
            found = find_settings(graph, node_id).get("steps")
            if found is not None:
                counted.add(found.place)
                total += part_of(graph, node_id, found.value)
    for node_id in graph.nodes:
        found = graph.find(node_id, "steps", as_count)
        if found is not None and found.place not in counted:
            counted.add(found.place)
            total += found.value
    return total


def part_of(graph: Graph, sampler: str, steps: int) -> int:
    """KSamplerAdvanced may do some of its steps and leave the others to the next one."""
    first = graph.find(sampler, "start_at_step", as_count)
    last = graph.find(sampler, "end_at_step", as_count)
    ends = min(steps, last.value) if last is not None else steps
    return max(ends - (first.value if first is not None else 0), 0)


def largest(values: Iterable[float]) -> float:
    return max(values, default=0)


def product(values: Iterable[float]) -> float:
    result = 1.0
    for value in values:
        result = min(result * value, MAX_COUNT)
    return result


def bounded(value: float) -> int:
    return min(ceil(value), MAX_COUNT)
