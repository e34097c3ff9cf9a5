"""What is wrong with parameters: everything at once, each with its field, a sentence and a code."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import structs

from sidecar.comfyui.model_names import MAX_NAME_CHARACTERS, has_control_characters, leads_elsewhere
from sidecar.comfyui.workflow_builder.options import NOTHING_KNOWN, Choices, Options
from sidecar.comfyui.workflow_builder.parameters import (
    MAX_CFG,
    MAX_LORAS,
    MAX_SEED,
    MAX_STRENGTH,
    MAX_TEXT_CHARACTERS,
    MIN_SIDE_PX,
    SIDE_STEP_PX,
    Lora,
    Parameters,
)

REQUIRED = "required"
TOO_LONG = "too_long"
OUT_OF_RANGE = "out_of_range"
NOT_A_NAME = "not_a_name"
MODEL_UNKNOWN = "model_unknown"
CHOICE_UNKNOWN = "choice_unknown"

MODELS = ("checkpoint", "LoRA")

SUGGEST_FOR_AT_MOST = 3
"""Of how many misspelt names: each is compared with thousands, and nobody misspells more."""

FIELD = re.compile(r"(?P<name>\w+)(?:\[(?P<position>\d+)\](?:\.(?P<member>\w+))?)?")


class Fault(NamedTuple):
    """One field that cannot be used. `loras[1].name` is the name of the second LoRA."""

    field: str
    code: str
    message: str


def check_parameters(parameters: Parameters, options: Options = NOTHING_KNOWN) -> list[dict[str, str]]:
    """
    Everything that is wrong with them, in the order of their fields: `{"field", "code", "message"}` each.

    Args:
        options: What may be chosen. Where a list is not known yet, ComfyUI will say whether it has that name.
    """
    return [fault._asdict() for fault in Check(parameters, options).faults()]


def with_listed_names(parameters: Parameters, options: Options) -> Parameters:
    """The same, with every model named as ComfyUI lists it: it takes no other separator than its own."""
    loras = [structs.replace(lora, name=listed(options.loras, lora.name)) for lora in parameters.loras]
    return structs.replace(parameters, checkpoint=listed(options.checkpoints, parameters.checkpoint), loras=loras)


def listed(choices: Choices | None, name: str) -> str:
    return name if choices is None else choices.find(name) or name


def in_field_order(errors: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Field errors from several checks as a form shows its fields."""
    return sorted(errors, key=lambda error: position_of(error["field"]))


def position_of(field: str) -> tuple[int, int, int]:
    found = FIELD.fullmatch(field)
    if found is None or found["name"] not in Parameters.__struct_fields__:
        return len(Parameters.__struct_fields__), 0, 0
    member = Lora.__struct_fields__.index(found["member"]) if found["member"] in Lora.__struct_fields__ else -1
    return Parameters.__struct_fields__.index(found["name"]), int(found["position"] or -1), member


class Check:
    """One look at parameters. Each method tells the faults of one kind of field."""

    def __init__(self, parameters: Parameters, options: Options) -> None:
        self.parameters = parameters
        self.options = options
        self.suggested_for = 0

    def faults(self) -> Iterator[Fault]:
        asked, options, bounds = self.parameters, self.options, self.options.bounds
        yield from self.text("prompt", asked.prompt)
        yield from self.text("negative_prompt", asked.negative_prompt)
        yield from self.name("checkpoint", asked.checkpoint, options.checkpoints, "checkpoint")
        yield from self.loras(asked.loras)
        yield from self.side("width", asked.width)
        yield from self.side("height", asked.height)
        yield from self.number("batch_size", asked.batch_size, 1, bounds.max_batch)
        if asked.seed is not None:
            yield from self.number("seed", asked.seed, 0, MAX_SEED)
        yield from self.number("steps", asked.steps, 1, bounds.max_steps)
        yield from self.number("cfg", asked.cfg, 0, MAX_CFG)
        yield from self.name("sampler_name", asked.sampler_name, options.samplers, "sampler")
        yield from self.name("scheduler", asked.scheduler, options.schedulers, "scheduler")
        yield from self.number("denoise", asked.denoise, 0, 1)

    def text(self, field: str, value: str) -> Iterator[Fault]:
        if len(value) > MAX_TEXT_CHARACTERS:
            yield Fault(field, TOO_LONG, f"Must not be longer than {MAX_TEXT_CHARACTERS} characters.")

    def loras(self, loras: list[Lora]) -> Iterator[Fault]:
        if len(loras) > MAX_LORAS:
            yield Fault("loras", TOO_LONG, f"At most {MAX_LORAS} can be applied at once.")
            return
        for position, lora in enumerate(loras):
            field = f"loras[{position}]"
            yield from self.name(f"{field}.name", lora.name, self.options.loras, "LoRA")
            yield from self.number(f"{field}.strength_model", lora.strength_model, -MAX_STRENGTH, MAX_STRENGTH)
            yield from self.number(f"{field}.strength_clip", lora.strength_clip, -MAX_STRENGTH, MAX_STRENGTH)

    def number(self, field: str, value: float, least: float, most: float) -> Iterator[Fault]:
        if not math.isfinite(value) or not least <= value <= most:
            yield Fault(field, OUT_OF_RANGE, f"Must be between {shown(least)} and {shown(most)}.")

    def side(self, field: str, value: int) -> Iterator[Fault]:
        most = self.options.bounds.max_side_px
        if value % SIDE_STEP_PX or not MIN_SIDE_PX <= value <= most:
            yield Fault(field, OUT_OF_RANGE, f"Must be a multiple of {SIDE_STEP_PX} between {MIN_SIDE_PX} and {most}.")

    def name(self, field: str, value: str, choices: Choices | None, word: str) -> Iterator[Fault]:
        if not value.strip():
            yield Fault(field, REQUIRED, "Must be chosen.")
        elif len(value) > MAX_NAME_CHARACTERS:
            yield Fault(field, TOO_LONG, f"Must not be longer than {MAX_NAME_CHARACTERS} characters.")
        elif has_control_characters(value):
            yield Fault(field, NOT_A_NAME, "Must not contain control characters.")
        elif leads_elsewhere(value):
            yield Fault(field, NOT_A_NAME, "Must be a name as ComfyUI lists it, not a path that leads elsewhere.")
        elif choices is not None and choices.find(value) is None:
            unknown = MODEL_UNKNOWN if word in MODELS else CHOICE_UNKNOWN
            yield Fault(field, unknown, f"There is no {word} {value} here. {self.suggestion(value, choices)}")

    def suggestion(self, name: str, choices: Choices) -> str:
        self.suggested_for += 1
        close = choices.like(name) if self.suggested_for <= SUGGEST_FOR_AT_MOST else []
        return f"Did you mean {' or '.join(close)}?" if close else "Choose one that is listed."


def shown(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)
