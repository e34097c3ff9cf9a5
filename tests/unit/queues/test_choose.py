"""Settings -> queue."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sidecar.errors import SettingsUnusable
from sidecar.queues.choose import choose_queue
from sidecar.queues.sqlite import SqliteQueue


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
    queue = choose_queue(url, "turns")

    assert isinstance(queue, SqliteQueue)
    assert queue._file.path == Path(path)


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///:memory:"])
def test_a_queue_without_a_file_is_refused(url):
    """
    A queue in memory would forget everything at the next start.
    """
    with pytest.raises(SettingsUnusable, match="names no file"):
        choose_queue(url, "turns")


@pytest.mark.parametrize("url", ["amqp://me:secret@host/0", "mysql://me:secret@host/db", "nonsense", ""])
def test_other_queues_are_refused_with_what_is_possible(url):
    """
    The sentence names the way out, and never the password in the URL.
    """
    with pytest.raises(SettingsUnusable, match="Use redis://") as refusal:
        choose_queue(url, "turns")

    assert "secret" not in refusal.value.message


@pytest.mark.parametrize("url", ["redis://me:secret@host:port/0", "postgresql://me:secret@host/db?nosuch=option"])
def test_a_server_that_cannot_be_meant_is_refused(url):
    """
    At the start, not when the first job is put in.
    """
    with pytest.raises(SettingsUnusable, match="GENONAUT_QUEUE_URL cannot be used") as refusal:
        choose_queue(url, "turns")

    assert "secret" not in refusal.value.message


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("redis://host", "sidecar.queues.redis", "redis"),
        ("postgresql+asyncpg://host/db", "sidecar.queues.postgresql", "postgresql"),
    ],
)
def test_a_queue_whose_package_is_missing_says_what_to_install(monkeypatch, url, module, extra):
    """
    Most people need neither, so neither comes along unasked.
    """
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(SettingsUnusable, match=rf"pip install \"genonaut\[sidecar,{extra}\]\""):
        choose_queue(url, "turns")
