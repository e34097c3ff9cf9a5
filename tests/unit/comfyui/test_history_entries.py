"""ComfyUI's history, read as the pack's journal would tell it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sidecar.comfyui.history_entries import HistoryEntry, to_outcome

STARTED = ["execution_start", {"prompt_id": "p", "timestamp": 1763722800500}]
CACHED = ["execution_cached", {"nodes": ["1", "2"], "prompt_id": "p", "timestamp": 1763722800600}]
SUCCESS = ["execution_success", {"prompt_id": "p", "timestamp": 1763722802750}]
INTERRUPTED = ["execution_interrupted", {"prompt_id": "p", "node_id": "5", "timestamp": 1763722801000}]
ERROR = [
    "execution_error",
    {
        "prompt_id": "p",
        "node_id": "5",
        "node_type": "KSampler",
        "exception_type": "ValueError",
        "exception_message": "bad latent",
        "traceback": ["...", "..."],
        "timestamp": 1763722801000,
    },
]
OUTPUTS = {"9": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}


def entry(status: str, *messages: Any, outputs: Any = None) -> HistoryEntry:
    told = {
        "prompt": [1, "p", {}, {}, ["9"]],
        "outputs": outputs or {},
        "meta": {},
        "status": {"status_str": status, "completed": status == "success", "messages": messages},
    }
    return msgspec.json.decode(msgspec.json.encode(told), type=HistoryEntry)


def test_what_ended_well_is_told_with_its_times_and_outputs():
    """Milliseconds there, seconds here."""
    outcome = to_outcome("p", entry("success", STARTED, CACHED, SUCCESS, outputs=OUTPUTS))

    assert (outcome.status, outcome.error) == ("completed", None)
    assert (outcome.started_at, outcome.finished_at) == (1763722800.5, 1763722802.75)
    assert outcome.cached == ["1", "2"]
    assert outcome.outputs == OUTPUTS


def test_what_failed_is_told_with_its_node_and_its_reason():
    """Who asked reads which node failed and why."""
    outcome = to_outcome("p", entry("error", STARTED, ERROR))

    assert outcome.status == "failed"
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.message) == ("ValueError", "bad latent")
    assert (outcome.error.node_id, outcome.error.node_type) == ("5", "KSampler")


def test_what_was_interrupted_was_cancelled():
    """ComfyUI calls it an error."""
    assert to_outcome("p", entry("error", STARTED, INTERRUPTED)).status == "cancelled"


@pytest.mark.parametrize("told", [{}, {"outputs": {}, "status": None}, {"status": {}}])
def test_an_entry_that_says_little_is_no_success(told: dict[str, Any]):
    """Other packs write into the history, too."""
    outcome = to_outcome("p", msgspec.json.decode(msgspec.json.encode(told), type=HistoryEntry))

    assert outcome.status == "failed"
    assert outcome.started_at is None
