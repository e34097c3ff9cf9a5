"""Settings -> queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.errors import SettingsUnusable
from sidecar.queues.choose import choose_queue


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/queue.sqlite3", "/var/lib/queue.sqlite3"),
        ("sqlite:///C:/Users/Ada B/queue.sqlite3", "C:/Users/Ada B/queue.sqlite3"),
        ("sqlite:///queue.sqlite3", "queue.sqlite3"),
    ],
)
def test_a_sqlite_url_names_a_file(url, path):
    """
    As SQLAlchemy writes it: absolute, with a drive, or relative.
    """
    assert choose_queue(url)._file.path == Path(path)


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///:memory:"])
def test_a_queue_without_a_file_is_refused(url):
    """
    A queue in memory would forget everything at the next start.
    """
    with pytest.raises(SettingsUnusable, match="names no file"):
        choose_queue(url)


@pytest.mark.parametrize("url", ["redis://:secret@host/0", "postgresql://me:secret@host/db", "nonsense", ""])
def test_other_queues_are_refused_with_what_is_possible(url):
    """
    The sentence names the way out, and never the password in the URL.
    """
    with pytest.raises(SettingsUnusable, match="Use sqlite:///") as refusal:
        choose_queue(url)

    assert "secret" not in refusal.value.message
