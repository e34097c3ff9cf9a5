"""Settings -> queue."""

from __future__ import annotations

from urllib.parse import urlsplit

from sidecar.errors import SettingsUnusable
from sidecar.queues.sqlite import URL_START, SqliteQueue


def choose_queue(url: str) -> SqliteQueue:
    """
    The queue that `GENONAUT_QUEUE_URL` names.

    Raises:
        SettingsUnusable: There is no queue for this URL.
    """
    if url.startswith(URL_START):
        return SqliteQueue.from_url(url)
    # Only the scheme is shown: the rest of a URL may hold a password.
    scheme = urlsplit(url).scheme or "(none)"
    raise SettingsUnusable(
        f"GENONAUT_QUEUE_URL begins with {scheme}:, for which there is no queue. Use {URL_START}FOLDER/queue.sqlite3, "
        "or leave it out: then the queue is a file in the data folder."
    )
