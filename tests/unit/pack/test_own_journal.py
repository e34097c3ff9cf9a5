"""Which journal is whose, where several ComfyUIs are started from one folder."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from comfy_nodes.own_journal import open_journal


def test_two_comfyuis_in_one_folder_have_a_journal_each(tmp_path: Path) -> None:
    """Both would otherwise write over each other; who comes after them finds the first one again."""
    first, second = open_journal(tmp_path), open_journal(tmp_path)
    first.append("finished", "a", {})
    second.append("finished", "b", {})
    first.close()
    third = open_journal(tmp_path)

    assert (first.file.name, second.file.name, third.file.name) == (
        "outcomes.jsonl",
        "outcomes-2.jsonl",
        "outcomes.jsonl",
    )
    assert third.is_finished("a")
    second.close()
    third.close()


def test_where_nothing_can_be_locked_the_first_journal_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some shares know no locks; ComfyUI works there all the same, and the log says what to mind."""

    def refuse(descriptor: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("comfy_nodes.own_journal.try_to_lock", refuse)
    journal = open_journal(tmp_path)

    assert journal.file.name == "outcomes.jsonl"
    assert len([record for record in caplog.records if "cannot be locked" in record.message]) == 1
    journal.close()


def test_a_lock_that_is_never_given_is_not_asked_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end, with a sentence that says what to do."""
    monkeypatch.setattr("comfy_nodes.own_journal.try_to_lock", lambda descriptor: False)
    with pytest.raises(OSError, match="Give this ComfyUI a folder with GENONAUT_DATA"):
        open_journal(tmp_path)
