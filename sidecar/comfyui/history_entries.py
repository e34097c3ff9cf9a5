"""`GET /history/{prompt_id}` of ComfyUI -> how a prompt ended."""

from __future__ import annotations

import time
from typing import Any, Literal

from msgspec import Struct, field

from sidecar.comfyui.outcomes import Finished, OutcomeError

STARTED = "execution_start"
CACHED = "execution_cached"
ERROR = "execution_error"
INTERRUPTED = "execution_interrupted"


class HistoryStatus(Struct):
    """`messages` are `[event, data]`, in the order in which they were sent; their `timestamp` is unix milliseconds."""

    status_str: str = ""
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class HistoryEntry(Struct):
    """What ComfyUI remembers of one prompt."""

    outputs: dict[str, Any] = field(default_factory=dict)
    status: HistoryStatus | None = None


def to_outcome(prompt_id: str, entry: HistoryEntry) -> Finished:
    """The same as the pack's journal would tell, without a sequence."""
    status = entry.status or HistoryStatus()
    said = dict(status.messages)
    times = [data["timestamp"] / 1000 for _, data in status.messages if isinstance(data.get("timestamp"), (int, float))]
    return Finished(
        sequence=0,
        prompt_id=prompt_id,
        status=ended(status, said),
        finished_at=times[-1] if times else time.time(),
        started_at=times[0] if times and STARTED in said else None,
        outputs=entry.outputs,
        error=to_error(said[ERROR]) if ERROR in said else None,
        cached=[str(node_id) for node_id in said.get(CACHED, {}).get("nodes") or ()],
    )


def ended(status: HistoryStatus, said: dict[str, dict[str, Any]]) -> Literal["completed", "failed", "cancelled"]:
    if INTERRUPTED in said:
        return "cancelled"  # ComfyUI calls it an error
    return "completed" if status.status_str == "success" else "failed"


def to_error(data: dict[str, Any]) -> OutcomeError:
    def text(name: str) -> str:
        return str(data.get(name) or "")

    return OutcomeError(
        type=text("exception_type"),
        message=text("exception_message"),
        node_id=text("node_id") or None,
        node_type=text("node_type") or None,
        traceback=[str(line) for line in data.get("traceback") or ()],
    )
