"""Files that get their name once they are whole."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from comfy_nodes import files
from comfy_nodes.image_tensors import whole_file
from comfy_nodes.outcome_journal import write_whole

ORIGINAL_REPLACE = Path.replace


class VirusScanner:
    """Has each new file open until it is told to let go, as Windows sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lets_go = threading.Event()
        self.refusals = 0
        monkeypatch.setattr(Path, "replace", lambda part, file: self.replace(part, file))  # noqa: PLW0108 - a bound method takes no part

    def replace(self, part: Path, file: Path) -> Path:
        if not self.lets_go.is_set():
            self.refusals += 1
            raise PermissionError(13, "The process cannot access the file", str(part))
        return ORIGINAL_REPLACE(part, file)


def test_a_file_that_is_looked_at_for_a_moment_gets_its_name_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture and the journal alike."""
    scanner = VirusScanner(monkeypatch)
    threading.Timer(0.1, scanner.lets_go.set).start()
    with whole_file(tmp_path / "picture.png") as part:
        part.write_bytes(b"picture")
    scanner.lets_go.clear()
    threading.Timer(0.1, scanner.lets_go.set).start()
    write_whole(tmp_path / "outcomes.jsonl", [b"line\n"])

    assert scanner.refusals >= 2
    assert {file.name for file in tmp_path.iterdir()} == {"picture.png", "outcomes.jsonl"}


def test_a_file_that_is_never_let_go_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second somebody must know; no part is left behind."""
    monkeypatch.setattr(files, "PATIENCE_S", 0.05)
    VirusScanner(monkeypatch)
    with pytest.raises(PermissionError), whole_file(tmp_path / "picture.png") as part:
        part.write_bytes(b"picture")

    assert list(tmp_path.iterdir()) == []
