"""The journal, in fair weather and foul."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from comfy_nodes import outcome_journal
from comfy_nodes.outcome_journal import OutcomeJournal

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outcomes.jsonl"


def entries(journal: OutcomeJournal, after: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.entries_after(after)[0]]


def open_journal(file: Path, *, at_s: float = 0) -> OutcomeJournal:
    """Open it at a time of our own; at the beginning of time, sequences count from 1."""
    return OutcomeJournal(file, clock=lambda: at_s)


def reopen(journal: OutcomeJournal) -> OutcomeJournal:
    journal.close()
    return open_journal(journal.file)


def test_entries_are_told_in_order_until_they_are_confirmed(file: Path) -> None:
    """Each with its sequence; after a confirmation only later ones."""
    journal = open_journal(file)
    for name in ("a", "b", "c"):
        journal.append("finished", name, {"status": "completed"})
    journal.confirm(2)

    assert entries(journal) == [{"sequence": 3, "kind": "finished", "prompt_id": "c", "status": "completed"}]
    assert [journal.is_finished(name) for name in ("a", "c")] == [False, True]
    journal.close()


def test_a_restart_forgets_nothing_and_sequences_go_on(file: Path) -> None:
    """Journal id, confirmations and entries are as before."""
    journal = open_journal(file)
    for name in ("a", "b", "c"):
        journal.append("finished", name, {})
    journal.confirm(1)
    again = reopen(journal)

    assert again.id == journal.id
    assert [entry["prompt_id"] for entry in entries(again)] == ["b", "c"]
    assert again.append("finished", "d", {}) == 4
    again.close()


def test_sequences_go_on_when_everything_was_confirmed_and_compacted(file: Path) -> None:
    """An empty journal still knows how far it had come."""
    journal = open_journal(file)
    for _ in range(30):
        journal.append("finished", "x", {"padding": "x" * 20_000})
    journal.confirm(30)
    size = file.stat().st_size
    again = reopen(journal)

    assert size < 1000
    assert again.id == journal.id
    assert entries(again) == []
    assert again.append("finished", "y", {}) == 31
    again.close()


def test_a_tail_that_a_power_cut_took_does_not_make_numbers_come_again(file: Path) -> None:
    """The sidecar has recorded both entries; what is written now must not look recorded."""
    journal = open_journal(file, at_s=100)
    journal.append("finished", "a", {})
    before = file.stat().st_size
    recorded = journal.append("finished", "b", {}) or 0
    journal.close()
    with file.open("ab") as handle:
        handle.truncate(before)
    again = open_journal(file, at_s=110)
    again.append("finished", "c", {})

    assert [entry["prompt_id"] for entry in entries(again, after=recorded)] == ["c"]
    again.close()


def test_sequences_do_not_go_back_with_the_clock(file: Path) -> None:
    """A clock that was set back counts for nothing."""
    journal = open_journal(file, at_s=100)
    last = journal.append("finished", "a", {})
    journal.close()
    again = open_journal(file, at_s=50)

    assert again.append("finished", "b", {}) == (last or 0) + 1
    again.close()


def test_compacting_keeps_what_is_not_confirmed(file: Path) -> None:
    """The file shrinks, and the entries that are left can be read at once and after a restart."""
    journal = open_journal(file)
    for number in range(30):
        journal.append("finished", str(number), {"padding": "x" * 20_000})
    journal.confirm(27)
    size = file.stat().st_size
    journal.append("finished", "30", {})
    kept = [entry["prompt_id"] for entry in entries(journal)]
    again = reopen(journal)

    assert size < 100_000
    assert kept == ["27", "28", "29", "30"]
    assert [entry["prompt_id"] for entry in entries(again)] == kept
    again.close()


@pytest.mark.parametrize("torn", [b'{"sequence": 3, "kind": "fini', b"\x00\x00\x00", b'{"sequence": 3}'])
def test_a_torn_last_line_is_cut_off(file: Path, torn: bytes) -> None:
    """A process that died while it wrote leaves half a line; what comes after it is whole again."""
    journal = open_journal(file)
    journal.append("finished", "a", {})
    journal.close()
    with file.open("ab") as handle:
        handle.write(torn)
    again = open_journal(file)
    again.append("finished", "b", {})
    last = reopen(again)

    assert [(entry["sequence"], entry["prompt_id"]) for entry in entries(last)] == [(1, "a"), (2, "b")]
    last.close()


def test_a_broken_line_in_the_middle_costs_only_itself(file: Path) -> None:
    """A disk may lose a block; the entries around it are still told."""
    journal = open_journal(file)
    for name in ("a", "b", "c"):
        journal.append("finished", name, {})
    journal.close()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:2], b"#" * 20 + b"\n", lines[3]]))
    again = open_journal(file)

    assert [entry["prompt_id"] for entry in entries(again)] == ["a", "c"]
    again.close()


@pytest.mark.parametrize("content", [b"", b"not a journal\n", b"[1]\n"])
def test_a_file_that_is_no_journal_is_kept_aside(file: Path, content: bytes) -> None:
    """ComfyUI starts all the same; the journal has a new id, so that the sidecar knows."""
    file.write_bytes(content)
    journal = open_journal(file)
    journal.append("finished", "a", {})

    assert [entry["prompt_id"] for entry in entries(journal)] == ["a"]
    assert file.with_suffix(".unreadable").read_bytes() == content
    journal.close()


class FullDisk:
    """Stands in front of the journal's file: takes ten bytes, then none, until there is room."""

    def __init__(self, whole: Any, *, can_truncate: bool = True) -> None:
        self._whole = whole
        self._can_truncate = can_truncate
        self._left = 10
        self.has_room = False

    def write(self, data: bytes) -> int:
        if self.has_room:
            return int(self._whole.write(data))
        if not self._left:
            raise OSError(28, "No space left on device")
        taken = self._whole.write(bytes(data[: self._left]))
        self._left = 0
        return int(taken)

    def truncate(self, size: int) -> int:
        if not (self._can_truncate or self.has_room):
            raise OSError(5, "Input/output error")
        return int(self._whole.truncate(size))

    def close(self) -> None:
        self._whole.close()


@pytest.mark.parametrize("can_truncate", [True, False])
def test_what_a_full_disk_does_not_take_is_written_before_the_next_entry(
    file: Path, monkeypatch: pytest.MonkeyPatch, can_truncate: bool
) -> None:
    """No outcome is lost, none of them is told before it is written, and half a line is taken back."""
    journal = open_journal(file)
    journal.append("finished", "a", {})
    disk = FullDisk(journal._handle, can_truncate=can_truncate)
    monkeypatch.setattr(journal, "_handle", disk)
    told: list[str] = []
    journal.on_growth = lambda growth: told.append(growth.prompt_id)
    missing = [journal.append("finished", name, {}) for name in ("b", "c")]
    knows_b, told_early = journal.is_finished("b"), list(told)
    disk.has_room = True
    journal.append("finished", "d", {})
    again = reopen(journal)

    assert (missing, knows_b, told_early, told) == ([None, None], True, [], ["b", "c", "d"])
    assert [entry["prompt_id"] for entry in entries(again)] == ["a", "b", "c", "d"]
    assert [entry["sequence"] for entry in entries(again)] == [1, 2, 3, 4]
    again.close()


def test_what_a_full_disk_does_not_take_is_tried_again_soon(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be no next entry for hours."""
    monkeypatch.setattr(outcome_journal, "TRY_AGAIN_AFTER_S", 0.05)
    journal = open_journal(file)
    disk = FullDisk(journal._handle)
    monkeypatch.setattr(journal, "_handle", disk)
    written = threading.Event()
    journal.on_growth = lambda growth: written.set()
    journal.append("finished", "a", {})
    disk.has_room = True

    assert written.wait(5)
    assert [entry["prompt_id"] for entry in entries(journal)] == ["a"]
    journal.close()


WRITER = """
import sys
import time
from pathlib import Path
from comfy_nodes.outcome_journal import OutcomeJournal
journal = OutcomeJournal(Path(sys.argv[1]))
while True:
    number = journal.append("finished", "x" * 5000, {})
    print(number, flush=True)
    if number % 7 == 0:
        journal.confirm(number - 3)
"""


def test_a_killed_writer_loses_nothing_that_it_said_it_wrote(file: Path) -> None:
    """kill -9 at any moment, compacting included, several times in a row."""
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline()) for _ in range(random.randrange(100, 200))]
            writer.kill()
            said += [int(line) for line in writer.stdout if line.endswith("\n")]
        journal = open_journal(file)
        found = [entry["sequence"] for entry in entries(journal)]
        journal.close()

        assert found == sorted(set(found))
        assert {number for number in said if number >= found[0]} <= set(found)


def test_a_long_journal_is_told_in_pages(file: Path) -> None:
    """After a night without the sidecar it may be large; each page fits, or is a single entry."""
    journal = open_journal(file)
    for name, length in (("a", 40), ("b", 40), ("long", 900), ("c", 40)):
        journal.append("finished", name, {"padding": "x" * length})
    pages, after, more = [], 0, True
    while more:
        page, more = journal.entries_after(after, most_bytes=300)
        read = [json.loads(line) for line in page]
        pages.append([entry["prompt_id"] for entry in read])
        after = read[-1]["sequence"]

    assert pages == [["a", "b"], ["long"], ["c"]]
    journal.close()


def test_compacting_is_worth_it_only_for_much(file: Path) -> None:
    """Each confirmation is a short line, not a new file."""
    journal = open_journal(file)
    journal.append("finished", "a", {})
    inode = file.stat().st_ino
    journal.confirm(1)

    assert file.stat().st_size < outcome_journal.DEAD_BYTES_WORTH_COMPACTING
    assert file.stat().st_ino == inode
    journal.close()
