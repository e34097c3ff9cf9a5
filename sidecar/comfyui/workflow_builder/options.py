"""What may be asked for: the names that exist, and the bounds of numbers."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable

from msgspec import Struct

from sidecar.comfyui.model_names import comparable
from sidecar.comfyui.workflow_builder.parameters import MAX_BATCH, MAX_SIDE_PX, MAX_STEPS

SUGGESTED_AT_MOST = 3
LIKE_ENOUGH = 0.6
COMPARED_AT_MOST = 1000  # some people have ten thousand LoRAs, and comparing takes its time


class Choices:
    """The names of one kind, as ComfyUI lists them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._listed: dict[str, str] = {}
        for name in names:
            self._listed.setdefault(comparable(name), name)

    def find(self, name: str) -> str | None:
        """The name as it is listed; one that is written with the other separator is the same."""
        return self._listed.get(comparable(name))

    def like(self, name: str) -> list[str]:
        """Names that somebody who wrote this one may have meant, the likeliest first."""
        meant = spelling_of(name)
        by_spelling = {spelling_of(known): known for known in self._listed.values()}
        likely = heapq.nsmallest(COMPARED_AT_MOST, by_spelling, key=lambda known: abs(len(known) - len(meant)))
        close = difflib.get_close_matches(meant, likely, n=SUGGESTED_AT_MOST, cutoff=LIKE_ENOUGH)
        return [by_spelling[spelling] for spelling in close]


def spelling_of(name: str) -> str:
    """What people misspell: neither the folder nor the ending, nor whether letters are capitals."""
    return comparable(name).rpartition("/")[2].rpartition(".")[0].casefold() or comparable(name).casefold()


class Bounds(Struct, frozen=True):
    """The most that may be asked for; less than what anybody may, where a plan says so."""

    max_side_px: int = MAX_SIDE_PX
    max_batch: int = MAX_BATCH
    max_steps: int = MAX_STEPS


class Options(Struct, frozen=True):
    """What may be chosen. None: nobody knows yet, so any name may be right and ComfyUI decides."""

    checkpoints: Choices | None = None
    loras: Choices | None = None
    samplers: Choices | None = None
    schedulers: Choices | None = None
    bounds: Bounds = Bounds()


NOTHING_KNOWN = Options()
