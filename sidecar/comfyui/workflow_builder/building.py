"""The core workflow, node by node."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from sidecar.comfyui.workflow_builder.parameters import Parameters

FILENAME_PREFIX = "genonaut/image"
DRAWN_SEEDS = 2**53  # JavaScript's numbers end there: whoever reads a seed off a page gets the same image


class WorkflowUnderConstruction:
    """Nodes numbered in the order in which they are added. One a workflow."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}

    def add(self, class_type: str, **inputs: Any) -> Callable[[int], list[Any]]:
        """Add a node; the answer makes links to its outputs."""
        node_id = str(len(self.nodes) + 1)
        self.nodes[node_id] = {"class_type": class_type, "inputs": inputs}
        return lambda output: [node_id, output]


def build_workflow(parameters: Parameters) -> dict[str, Any]:
    """The core workflow with these parameters, as ComfyUI executes it. Without a seed, each call draws one."""
    workflow = WorkflowUnderConstruction()
    checkpoint = workflow.add("CheckpointLoaderSimple", ckpt_name=parameters.checkpoint)
    model, clip, vae = checkpoint(0), checkpoint(1), checkpoint(2)
    for lora in parameters.loras:
        loaded = workflow.add(
            "LoraLoader",
            model=model,
            clip=clip,
            lora_name=lora.name,
            strength_model=lora.strength_model,
            strength_clip=lora.strength_clip,
        )
        model, clip = loaded(0), loaded(1)
    positive = workflow.add("CLIPTextEncode", clip=clip, text=parameters.prompt)
    negative = workflow.add("CLIPTextEncode", clip=clip, text=parameters.negative_prompt)
    latent = workflow.add(
        "EmptyLatentImage", width=parameters.width, height=parameters.height, batch_size=parameters.batch_size
    )
    sampled = workflow.add(
        "KSampler",
        model=model,
        positive=positive(0),
        negative=negative(0),
        latent_image=latent(0),
        seed=draw_seed() if parameters.seed is None else parameters.seed,
        steps=parameters.steps,
        cfg=parameters.cfg,
        sampler_name=parameters.sampler_name,
        scheduler=parameters.scheduler,
        denoise=parameters.denoise,
    )
    decoded = workflow.add("VAEDecode", samples=sampled(0), vae=vae)
    workflow.add("GenonautSaveImage", images=decoded(0), filename_prefix=FILENAME_PREFIX)
    return workflow.nodes


def draw_seed() -> int:
    return secrets.randbelow(DRAWN_SEEDS)
