"""
How a ComfyUI is spoken with: with the pack in it (`pack_dialect`), or as it comes (`core_dialect`).

With the pack, outcomes come from its journal and survive the end of ComfyUI. Without it they come from ComfyUI's
history, which is kept in memory: what it had not told when it ended, nobody knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from msgspec import Struct

from sidecar.comfyui.conversation import Conversation
from sidecar.comfyui.outcomes import Look

CancelledWhile = Literal["pending", "running", "absent"]

Expected = Callable[[], Awaitable[list[str]]]
"""Tells the ids of the prompts that this ComfyUI should have, or have ended."""


@dataclass(frozen=True)
class Prompt:
    """What goes into ComfyUI's queue."""

    id: str
    workflow: Mapping[str, Any]
    extra_data: Mapping[str, Any] = field(default_factory=dict)
    client_id: str | None = None
    """The browser that shall hear of it while it runs, where it can."""
    partial_execution_targets: list[str] | None = None
    term: int | None = None
    """In whose term it is sent: a ComfyUI with the pack takes none of an earlier one than it has heard of."""

    def body(self, *, client_id: str) -> dict[str, Any]:
        """As ComfyUI wants it."""
        body: dict[str, Any] = {
            "prompt": self.workflow,
            "prompt_id": self.id,
            "client_id": client_id,
            "extra_data": self.extra_data,
        }
        if self.partial_execution_targets is not None:
            body["partial_execution_targets"] = self.partial_execution_targets
        return body


class Queued(Struct):
    """The answer of a ComfyUI that has taken a prompt in. A page of some proxy in between is none."""

    prompt_id: str


class Dialect(Protocol):
    """One way of speaking with a ComfyUI; `ComfyUIClient` says what each question means and how it may fail."""

    async def listen(self) -> Conversation: ...
    async def submit_prompt(self, prompt: Prompt) -> None: ...
    async def cancel_prompt(self, prompt_id: str) -> CancelledWhile: ...
    async def look(self, *, after: int, expected: Expected, term: int | None = None) -> Look: ...
    async def confirm_outcomes(self, *, journal: str, through: int) -> None: ...
