"""The checkpoint and the LoRAs, on the way from the sampler back to the files of the models."""

from __future__ import annotations

from sidecar.comfyui.workflow_builder import Lora
from sidecar.comfyui.workflow_reader.graph import Found, Graph
from sidecar.comfyui.workflow_reader.loras import loras_of
from sidecar.comfyui.workflow_reader.samplers import guided_by
from sidecar.comfyui.workflow_reader.values import as_name

CHECKPOINT_INPUTS = ("ckpt_name", "unet_name", "base_ckpt_name", "model_name", "model_path")
LEADING_TO_MODELS = ("lora_stack", "optional_lora_stack", "model")  # a stack is applied after what the model has


def find_models(graph: Graph, sampler: str) -> tuple[Found[str] | None, list[Lora]]:
    """The checkpoint, and the LoRAs in the order in which they are applied."""
    checkpoint: Found[str] | None = None
    last_first: list[Lora] = []
    guided = guided_by(graph, sampler)
    links = [graph.nodes[guided]["model"]] if "model" in graph.nodes[guided] else graph.links(guided)
    for node_id in graph.upstream(links, graph.by_names(*LEADING_TO_MODELS)):
        last_first.extend(reversed(list(loras_of(graph, node_id))))
        for name in CHECKPOINT_INPUTS:
            checkpoint = checkpoint or graph.find(node_id, name, as_name)
    return checkpoint, last_first[::-1]
