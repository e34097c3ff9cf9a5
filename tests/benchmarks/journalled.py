"""What Genonaut adds inside ComfyUI's worker when a prompt ends: one line in the journal of outcomes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.figures import Row, spread, timed
from comfy_nodes.held_prompts import HeldPrompts
from comfy_nodes.outcome_journal import OutcomeJournal
from comfy_nodes.queue_hooks import QueueHooks
from comfy_nodes.wire import new_generation_id

OUTPUTS = 1000
CONFIRMED_EVERY = 20  # the sidecar reads along

IMAGE = {"filename": "benchmark_00001_.png", "subfolder": "genonaut", "type": "output"}
THUMBNAIL = {**IMAGE, "width": 256, "height": 256}
REPORTED = {
    "width": 1024,
    "height": 1024,
    "bytes": 1_500_000,
    "media_type": "image/png",
    "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    "thumbnails": {"small": THUMBNAIL, "medium": THUMBNAIL, "large": THUMBNAIL},
}
RESULT: dict[str, Any] = {"outputs": {"9": {"images": [IMAGE], "genonaut": [REPORTED]}}, "meta": {}}
STATUS = SimpleNamespace(completed=True, messages=[("execution_start", {}), ("execution_success", {})])


def rows(folder: Path) -> list[Row]:
    journal = OutcomeJournal(folder / "outcomes.jsonl")
    hooks = QueueHooks(journal, HeldPrompts(), cancel_held=lambda _: None)
    seconds = []
    for sequence in range(1, OUTPUTS + 1):
        item: tuple[Any, ...] = (sequence, new_generation_id(), {}, {}, ["9"], {})
        with timed() as watch:
            hooks.finished(item, RESULT, STATUS)
        seconds.append(watch.seconds)
        if sequence % CONFIRMED_EVERY == 0:
            journal.confirm(sequence)
    journal.close()
    return spread("recording one output in ComfyUI's worker", seconds, p50_ms=3, p95_ms=3)
