"""How large the images are and how many, from where the latent image begins."""

from __future__ import annotations

from msgspec import Struct

from sidecar.comfyui.workflow_reader.graph import Found, Graph
from sidecar.comfyui.workflow_reader.samplers import LATENT_INPUTS
from sidecar.comfyui.workflow_reader.values import as_size

IMAGE_INPUTS = frozenset({"pixels", "image", "images"})
WIDTH_INPUTS = ("width", "empty_latent_width")
HEIGHT_INPUTS = ("height", "empty_latent_height")


class Size(Struct):
    width: Found[int] | None = None
    height: Found[int] | None = None
    batch_size: Found[int] | None = None


def find_size(graph: Graph, sampler: str) -> Size:
    """What does not stand in the workflow stays unknown: the size of a loaded image, or of one scaled by a factor."""
    size = Size()
    inputs = graph.nodes[sampler]
    given = [inputs[name] for name in LATENT_INPUTS if name in inputs]
    size_may_follow = batch_may_follow = True
    for node_id in graph.upstream(given or graph.links(sampler), graph.by_names(*LATENT_INPUTS)):
        inputs = graph.nodes[node_id]
        if not IMAGE_INPUTS.isdisjoint(inputs):
            break
        batch_may_follow = batch_may_follow and "amount" not in inputs  # RepeatLatentBatch
        if size_may_follow and size.width is None:
            size.width, size.height = find_sides(graph, node_id)
            # A side of 0 keeps the proportions (LatentUpscale), and a factor is of something.
            size_may_follow = "width" not in inputs and "scale_by" not in inputs
        if batch_may_follow and size.batch_size is None:
            size.batch_size = graph.find(node_id, "batch_size", as_size)
    return size


def find_sides(graph: Graph, node_id: str) -> tuple[Found[int] | None, Found[int] | None]:
    """Both sides or none."""
    widths = (graph.find(node_id, name, as_size) for name in WIDTH_INPUTS)
    heights = (graph.find(node_id, name, as_size) for name in HEIGHT_INPUTS)
    width = next((side for side in widths if side is not None), None)
    height = next((side for side in heights if side is not None), None)
    return (width, height) if width is not None and height is not None else (None, None)
