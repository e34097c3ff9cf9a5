"""What the pack's outcome journal tells (the shapes are in sidecar/README.md, "Between pack and sidecar")."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct, field


class OutcomeError(Struct):
    """Why a prompt failed, as ComfyUI told it."""

    type: str = ""
    message: str = ""
    node_id: str | None = None
    node_type: str | None = None
    traceback: list[str] = field(default_factory=list)


class Accepted(Struct, tag_field="kind", tag="accepted"):
    """A prompt that entered ComfyUI's queue without having come from here. Times are unix seconds."""

    sequence: int
    prompt_id: str
    accepted_at: float
    source: Literal["page", "outside"]
    workflow: dict[str, Any]
    extra_data: dict[str, Any] = field(default_factory=dict)
    client_id: str | None = None
    owner_id: UUID | None = None
    """Who asked the pack for it; None in open access, and where nobody can say."""


class Started(Struct, tag_field="kind", tag="started"):
    """A prompt that ComfyUI began to run. If nothing follows it, ComfyUI died with it."""

    sequence: int
    prompt_id: str
    started_at: float


class Finished(Struct, tag_field="kind", tag="finished"):
    """How a prompt ended. Times are unix seconds; `started_at` is None for one that never ran."""

    sequence: int
    prompt_id: str
    status: Literal["completed", "failed", "cancelled"]
    finished_at: float
    started_at: float | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    error: OutcomeError | None = None
    cached: list[str] = field(default_factory=list)


class News(Struct):
    """The journal has grown: up to `sequence`, and by these entries, where they were told along."""

    sequence: int | None = None
    """None: who tells it has no journal."""
    journal: str = ""
    entries: list[Accepted | Started | Finished] = field(default_factory=list)

    def follow(self, journal: str, sequence: int) -> bool:
        """Do they go on, without a gap, where somebody has read this journal to?"""
        if self.journal != journal or not self.entries or self.entries[-1].sequence != self.sequence:
            return False
        first = self.entries[0].sequence
        return first <= sequence + 1 and [entry.sequence for entry in self.entries] == [
            *range(first, first + len(self.entries))
        ]


def read_news(data: dict[str, Any]) -> News:
    """What cannot be read is not known: the journal tells."""
    try:
        return msgspec.convert(data, News)
    except msgspec.ValidationError:
        return News(sequence=None)


class Look(Struct):
    """One consistent look at a ComfyUI: no prompt is missing from all three lists."""

    journal: str
    entries: list[msgspec.Raw]
    """Each to be read by `read_entry`: one that cannot be read must not hide the others."""
    running: list[str]
    pending: list[str]
    more: bool = False
    """The journal has more entries than were told at once."""


Entry = Accepted | Started | Finished


class Unreadable(Struct):
    """An entry of which only its place in the journal is known."""

    sequence: int


def read_entry(raw: msgspec.Raw) -> Entry | Unreadable:
    """
    Read one entry of the journal.

    Raises:
        msgspec.ValidationError: Not even its sequence can be read.
    """
    try:
        entry: Entry = msgspec.json.decode(raw, type=Entry)
    except msgspec.ValidationError:
        return msgspec.json.decode(raw, type=Unreadable)
    return entry
