"""What the core workflow is built from, and the bounds of each of it. The API's description says the same bounds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from sidecar.comfyui.model_names import MAX_NAME_CHARACTERS

MAX_SEED = 2**64 - 1  # ComfyUI nodes.py, KSampler: "max": 0xffffffffffffffff
MAX_SIDE_PX = 8192
MIN_SIDE_PX = 16  # ComfyUI nodes.py, EmptyLatentImage
SIDE_STEP_PX = 8  # a latent pixel
MAX_BATCH = 64
MAX_STEPS = 200
MAX_CFG = 100.0
MAX_STRENGTH = 20.0
MAX_TEXT_CHARACTERS = 20_000
MAX_LORAS = 50


def described(description: str, **schema: float) -> Meta:
    """
    What the API's description says of a field.

    The bounds are told there and not to msgspec: it would stop at the first fault, and people want to hear of all.
    """
    return Meta(extra_json_schema={"description": description, "extra": schema})


Prompt = Annotated[str, described("What shall be seen.", max_length=MAX_TEXT_CHARACTERS)]
NegativePrompt = Annotated[str, described("What shall not be seen.", max_length=MAX_TEXT_CHARACTERS)]
Name = Annotated[str, described("As ComfyUI lists it.", max_length=MAX_NAME_CHARACTERS)]
Strength = Annotated[float, described("Negative strengths turn it round.", minimum=-MAX_STRENGTH, maximum=MAX_STRENGTH)]
Side = Annotated[
    int, described("Pixels; a multiple of 8.", minimum=MIN_SIDE_PX, maximum=MAX_SIDE_PX, multiple_of=SIDE_STEP_PX)
]
BatchSize = Annotated[int, described("Images made at once.", minimum=1, maximum=MAX_BATCH)]
Steps = Annotated[int, described("How often noise is taken away.", minimum=1, maximum=MAX_STEPS)]
Cfg = Annotated[float, described("How strictly the prompt is followed.", minimum=0, maximum=MAX_CFG)]
Denoise = Annotated[float, described("1 starts from noise alone.", minimum=0, maximum=1)]


class Lora(Struct, forbid_unknown_fields=True):
    """A LoRA and how strongly it changes the model and the text encoder."""

    name: Name
    strength_model: Strength = 1.0
    strength_clip: Strength = 1.0


Loras = Annotated[list[Lora], described("Applied in this order.", max_items=MAX_LORAS)]


class Parameters(Struct, forbid_unknown_fields=True):
    """What the core workflow is built from."""

    prompt: Prompt = ""
    negative_prompt: NegativePrompt = ""
    checkpoint: Name = ""
    """There is none that fits all: it must be chosen."""
    loras: Loras = field(default_factory=list)
    width: Side = 512
    height: Side = 512
    batch_size: BatchSize = 1
    seed: Annotated[
        int | None, described("The same seed gives the same image; null draws one.", minimum=0, maximum=MAX_SEED)
    ] = None
    steps: Steps = 20
    cfg: Cfg = 7.0
    sampler_name: Name = "euler"
    scheduler: Name = "normal"
    denoise: Denoise = 1.0
