"""Values as they stand in a workflow: what fits comes back, clean; None for anything else."""

from __future__ import annotations

import math
from typing import Any

from sidecar.comfyui.model_names import MAX_NAME_CHARACTERS
from sidecar.comfyui.workflow_builder import MAX_SEED

MAX_COUNT = 2**31 - 1  # what fits into an integer column of any database
MAX_DIGITS = 25
NOTHING_CHOSEN = frozenset({"none", "[none]"})


def as_text(value: Any) -> str | None:
    """Text that every database stores: JSON may carry half characters and NUL."""
    if not isinstance(value, str):
        return None
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def as_name(value: Any) -> str | None:
    """Some packs (pythongosssss's) send what was chosen along with its picture."""
    text = as_text(value.get("content") if isinstance(value, dict) else value)
    return text[:MAX_NAME_CHARACTERS] if text and text.lower() not in NOTHING_CHOSEN else None


def as_number(value: Any) -> float | None:
    number = unquoted(value)
    return float(number) if number is not None and abs(number) <= MAX_COUNT else None


def as_count(value: Any) -> int | None:
    return as_whole(value, least=0, most=MAX_COUNT)


def as_size(value: Any) -> int | None:
    return as_whole(value, least=1, most=MAX_COUNT)


def as_seed(value: Any) -> int | None:
    return as_whole(value, least=0, most=MAX_SEED)


def as_whole(value: Any, *, least: int, most: int) -> int | None:
    number = unquoted(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return number if isinstance(number, int) and least <= number <= most else None


def unquoted(value: Any) -> int | float | None:
    """ComfyUI takes a number in quotes for the number (execution.py, validate_inputs); so do we."""
    if isinstance(value, str) and len(value) <= MAX_DIGITS:
        whole = as_integer(value)
        value = as_float(value) if whole is None else whole
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def as_float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
