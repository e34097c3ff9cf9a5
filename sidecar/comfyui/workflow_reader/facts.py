"""What can be read from a workflow. Empty or None: it does not say."""

from __future__ import annotations

from msgspec import Struct, field

from sidecar.comfyui.workflow_builder import Lora


class SamplerFacts(Struct):
    """How the sampler was set."""

    seed: int | None = None
    steps: int | None = None
    cfg: float | None = None
    sampler_name: str = ""
    scheduler: str = ""
    denoise: float | None = None


class WorkflowFacts(Struct):
    """What was asked for."""

    prompt: str = ""
    negative_prompt: str = ""
    checkpoint: str = ""
    loras: list[Lora] = field(default_factory=list)
    width: int | None = None
    height: int | None = None
    batch_size: int | None = None
    frames: int | None = None
    """Of the longest video."""
    sampler: SamplerFacts = field(default_factory=SamplerFacts)
    title: str = ""
    tags: list[str] = field(default_factory=list)
