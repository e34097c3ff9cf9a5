"""What the sidecar is told of the journal, so that it need not come and read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from comfy_nodes import outcome_news
from comfy_nodes.event_tap import EventTap
from comfy_nodes.outcome_journal import OutcomeJournal
from comfy_nodes.outcome_news import OutcomeNews


class Heard:
    """An observer that keeps what it is offered."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def offer(self, message: str) -> None:
        self.messages.append(json.loads(message))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def journal(tmp_path: Path, heard: Heard) -> OutcomeJournal:
    journal = OutcomeJournal(tmp_path / "outcomes.jsonl", clock=lambda: 0)
    tap = EventTap()
    tap.observers.append(heard)  # type: ignore[arg-type]
    journal.on_growth = OutcomeNews(tap, journal.id).journal_has_grown
    return journal


def test_an_end_is_told_with_every_entry_since_the_last_one(journal: OutcomeJournal, heard: Heard) -> None:
    """As they stand in the journal; that something began is ComfyUI's own event, and goes along."""
    journal.append("started", "a", {"started_at": 1.0})
    journal.append("finished", "a", {"status": "completed"})
    journal.append("finished", "b", {"status": "cancelled"})
    in_file = [json.loads(line) for line in journal.entries_after(0)[0]]

    assert [message["type"] for message in heard.messages] == ["outcome", "outcome"]
    told = [message["data"] for message in heard.messages]
    assert [(data["sequence"], data["prompt_id"], data["journal"]) for data in told] == [
        (2, "a", journal.id),
        (3, "b", journal.id),
    ]
    assert [entry for data in told for entry in data["entries"]] == in_file
    journal.close()


def test_of_large_entries_it_is_only_told_that_they_are_there(
    journal: OutcomeJournal, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue of an observer is bounded by messages, not by bytes."""
    monkeypatch.setattr(outcome_news, "LARGEST_NEWS", 200)
    journal.append("finished", "a", {"outputs": "x" * 300})
    journal.append("finished", "b", {})

    assert [(data["sequence"], len(data["entries"])) for data in (message["data"] for message in heard.messages)] == [
        (1, 0),
        (2, 1),
    ]
    journal.close()
