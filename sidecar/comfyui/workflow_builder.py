"""Parameters -> workflow: the core workflow of ComfyUI, checkpoint to saved image."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from msgspec import Meta, Struct, field

MAX_SEED = 2**64 - 1  # ComfyUI nodes.py, KSampler: "max": 0xffffffffffffffff
MAX_SIDE_PX = 8192
MIN_SIDE_PX = 16  # ComfyUI nodes.py, EmptyLatentImage
SIDE_STEP_PX = 8  # a latent pixel
MAX_BATCH = 64
MAX_STEPS = 200
MAX_CFG = 100.0
MAX_STRENGTH = 20.0
MAX_TEXT_CHARACTERS = 20_000
MAX_NAME_CHARACTERS = 400
MAX_LORAS = 50
FILENAME_PREFIX = "genonaut/image"

DRIVE = re.compile(r"^[A-Za-z]:")


class Lora(Struct, forbid_unknown_fields=True):
    """A LoRA and how strongly it changes the model and the text encoder; negative strengths turn it round."""

    name: str
    strength_model: float = 1.0
    strength_clip: float = 1.0


class Parameters(Struct, forbid_unknown_fields=True):
    """What the core workflow is built from."""

    prompt: Annotated[str, Meta(description="What shall be seen.")] = ""
    negative_prompt: Annotated[str, Meta(description="What shall not be seen.")] = ""
    checkpoint: Annotated[str, Meta(description="A checkpoint's name as ComfyUI lists it.")] = ""
    loras: Annotated[list[Lora], Meta(description="Applied in this order.")] = field(default_factory=list)
    width: Annotated[int, Meta(description="Pixels; a multiple of 8.")] = 512
    height: Annotated[int, Meta(description="Pixels; a multiple of 8.")] = 512
    batch_size: Annotated[int, Meta(description="Images made at once.")] = 1
    seed: Annotated[int | None, Meta(description="The same seed gives the same image; null draws one.")] = None
    steps: int = 20
    cfg: Annotated[float, Meta(description="How strictly the prompt is followed.")] = 7.0
    sampler_name: str = "euler"
    scheduler: str = "normal"
    denoise: Annotated[float, Meta(description="1 starts from noise alone.")] = 1.0


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
        seed=secrets.randbelow(MAX_SEED + 1) if parameters.seed is None else parameters.seed,
        steps=parameters.steps,
        cfg=parameters.cfg,
        sampler_name=parameters.sampler_name,
        scheduler=parameters.scheduler,
        denoise=parameters.denoise,
    )
    decoded = workflow.add("VAEDecode", samples=sampled(0), vae=vae)
    workflow.add("GenonautSaveImage", images=decoded(0), filename_prefix=FILENAME_PREFIX)
    return workflow.nodes


def check_parameters(parameters: Parameters) -> list[dict[str, str]]:
    """
    Everything that is wrong with them as far as it can be known without asking ComfyUI: `{"field", "message"}` each.

    Whether it has a checkpoint, a LoRA, a sampler or a scheduler of that name, only ComfyUI can say.
    """
    return [{"field": name, "message": message} for name, message in faults(parameters)]


def faults(parameters: Parameters) -> Iterator[tuple[str, str]]:
    yield from faults_of_texts(parameters)
    for name in ("width", "height"):
        yield from fault_of_side(name, getattr(parameters, name))
    yield from fault_of_number("batch_size", parameters.batch_size, 1, MAX_BATCH)
    if parameters.seed is not None:
        yield from fault_of_number("seed", parameters.seed, 0, MAX_SEED)
    yield from fault_of_number("steps", parameters.steps, 1, MAX_STEPS)
    yield from fault_of_number("cfg", parameters.cfg, 0, MAX_CFG)
    yield from fault_of_number("denoise", parameters.denoise, 0, 1)
    yield from faults_of_loras(parameters.loras)


def faults_of_texts(parameters: Parameters) -> Iterator[tuple[str, str]]:
    for name in ("prompt", "negative_prompt"):
        if len(getattr(parameters, name)) > MAX_TEXT_CHARACTERS:
            yield name, f"Must not be longer than {MAX_TEXT_CHARACTERS} characters."
    for name in ("checkpoint", "sampler_name", "scheduler"):
        yield from fault_of_name(name, getattr(parameters, name))


def faults_of_loras(loras: list[Lora]) -> Iterator[tuple[str, str]]:
    if len(loras) > MAX_LORAS:
        yield "loras", f"At most {MAX_LORAS} can be applied at once."
        return
    for position, lora in enumerate(loras):
        yield from fault_of_name(f"loras[{position}].name", lora.name)
        for name in ("strength_model", "strength_clip"):
            yield from fault_of_number(f"loras[{position}].{name}", getattr(lora, name), -MAX_STRENGTH, MAX_STRENGTH)


def fault_of_number(name: str, value: float, least: float, most: float) -> Iterator[tuple[str, str]]:
    if not math.isfinite(value) or not least <= value <= most:
        yield name, f"Must be between {least:g} and {most:g}." if most != MAX_SEED else f"Must be between 0 and {most}."


def fault_of_side(name: str, value: int) -> Iterator[tuple[str, str]]:
    if value % SIDE_STEP_PX or not MIN_SIDE_PX <= value <= MAX_SIDE_PX:
        yield name, f"Must be a multiple of {SIDE_STEP_PX} between {MIN_SIDE_PX} and {MAX_SIDE_PX}."


def fault_of_name(name: str, value: str) -> Iterator[tuple[str, str]]:
    """A name is a path below one of ComfyUI's folders, and never leads out of it."""
    if not value.strip():
        yield name, "Must be chosen."
    elif len(value) > MAX_NAME_CHARACTERS:
        yield name, f"Must not be longer than {MAX_NAME_CHARACTERS} characters."
    elif "\\" in value or not value.isprintable():
        yield name, "Must not contain backslashes or control characters; folders are separated by /."
    elif value.startswith("/") or DRIVE.match(value) or ".." in value.split("/"):
        yield name, "Must be a name as ComfyUI lists it, not a path that leads elsewhere."
