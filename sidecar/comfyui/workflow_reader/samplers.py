"""Which sampler decides, and how it is set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sidecar.comfyui.workflow_reader.graph import Found, Graph
from sidecar.comfyui.workflow_reader.values import as_count, as_name, as_number, as_seed

SAMPLERS = frozenset({"KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"})
MARKS_OF_A_SAMPLER = frozenset({"positive", "conditioning", "guider", "seed", "noise_seed"})
LATENT_INPUTS = ("latent_image", "samples", "latent")
SETTINGS_COME_BY = ("noise", "sampler", "sigmas", "pipe")
WITHOUT_NOISE = ("disable", False)  # KSamplerAdvanced's add_noise, SamplerCustom's add_noise
PASSES_AT_MOST = 8  # earlier samplers that are looked at

SETTINGS: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "seed": (as_seed, ("seed", "noise_seed")),
    "steps": (as_count, ("steps",)),
    "cfg": (as_number, ("cfg", "cfg_conds")),
    "sampler_name": (as_name, ("sampler_name",)),
    "scheduler": (as_name, ("scheduler",)),
    "denoise": (as_number, ("denoise",)),
}
"""Each setting, what fits it, and the names of the inputs that hold it."""


def passes(graph: Graph) -> list[str]:
    """The sampler that decides, and the ones whose latent images it goes on with, nearest first."""
    last = last_sampler(graph)
    if last is None:
        return []
    latents = [graph.nodes[last].get(name) for name in LATENT_INPUTS]
    before = (node_id for node_id in graph.upstream(latents, graph.by_names(*LATENT_INPUTS)) if node_id != last)
    earlier = [node_id for node_id in before if is_sampler(graph, node_id)]
    return [last, *earlier[:PASSES_AT_MOST]]


def last_sampler(graph: Graph) -> str | None:
    """The sampler after which no other one comes; of several the first that leads to a node that saves."""
    samplers = [node_id for node_id in graph.nodes if is_sampler(graph, node_id)]
    samplers = samplers or [node_id for node_id in graph.nodes if samples_somehow(graph, node_id)]
    earlier = everything_behind(graph, samplers)
    last = [node_id for node_id in samplers if node_id not in earlier] or samplers
    if len(last) > 1:
        saved = everything_behind(graph, (node_id for node_id in graph.nodes if saves(graph, node_id)))
        last = [node_id for node_id in last if node_id in saved] or last
    return last[0] if last else None


def everything_behind(graph: Graph, node_ids: Iterable[str]) -> set[str]:
    links = [link for node_id in node_ids for link in graph.links(node_id)]
    return set(graph.upstream(links, graph.links))


def is_sampler(graph: Graph, node_id: str) -> bool:
    """One of ComfyUI's own, or a node of somebody else's with the inputs that make a sampler."""
    inputs = graph.nodes[node_id]
    return graph.types[node_id] in SAMPLERS or ("latent_image" in inputs and not MARKS_OF_A_SAMPLER.isdisjoint(inputs))


def samples_somehow(graph: Graph, node_id: str) -> bool:
    """Detailers, upscalers that sample tile by tile, and packs that send everything down one pipe."""
    inputs = graph.nodes[node_id]
    return "steps" in inputs and ("seed" in inputs or "noise_seed" in inputs)


def saves(graph: Graph, node_id: str) -> bool:
    return "filename_prefix" in graph.nodes[node_id]


def guided_by(graph: Graph, sampler: str) -> str:
    """The node that holds model and conditions: the sampler itself, or the guider in front of it."""
    return graph.source(graph.nodes[sampler].get("guider")) or sampler


def find_settings(graph: Graph, sampler: str) -> dict[str, Found[Any]]:
    """The settings, wherever they are: in the sampler itself or in the small nodes in front of it."""
    parts = list(dict.fromkeys(parts_of(graph, sampler)))
    found: dict[str, Found[Any]] = {}
    for setting, (check, names) in SETTINGS.items():
        if setting == "seed" and graph.nodes[sampler].get("add_noise") in WITHOUT_NOISE:
            continue  # the seed that stands there is not used
        values = (graph.find(part, name, check) for part in parts for name in names if name in graph.nodes[part])
        value = next((value for value in values if value is not None), None)
        if value is not None:
            found[setting] = value
    return found


def parts_of(graph: Graph, sampler: str) -> Iterator[str]:
    yield sampler
    yield guided_by(graph, sampler)
    for name in SETTINGS_COME_BY:
        yield from graph.upstream([graph.nodes[sampler].get(name)], graph.only_by(name))
