"""Settings -> queue."""

from __future__ import annotations

from urllib.parse import urlsplit

from sidecar.errors import SettingsUnusable
from sidecar.queues.served import ServedQueue
from sidecar.queues.sqlite import URL_START, SqliteQueue

WorkQueue = SqliteQueue | ServedQueue

NEEDS_EXTRA = (
    "GENONAUT_QUEUE_URL names a {server} queue, for which a package is missing here. "
    'Install it beside the sidecar: pip install "genonaut[sidecar,{extra}]".'
)


def choose_queue(url: str, name: str) -> WorkQueue:
    """
    The queue that `GENONAUT_QUEUE_URL` names.

    Args:
        name: Whose jobs: several queues share what the URL names.

    Raises:
        SettingsUnusable: There is no queue for this URL.
    """
    if url.startswith(URL_START):
        return SqliteQueue.from_url(url, name=name)
    # Only the scheme is shown: the rest of a URL may hold a password.
    scheme = urlsplit(url).scheme or "(none)"
    if scheme in ("redis", "rediss"):
        return on_redis(url, name)
    if scheme.partition("+")[0] in ("postgresql", "postgres"):
        return on_postgresql(url, name)
    raise SettingsUnusable(
        f"GENONAUT_QUEUE_URL begins with {scheme}:, for which there is no queue. Use redis://HOST:6379/0, "
        f"postgresql://USER:PASSWORD@HOST/DATABASE or {URL_START}FOLDER/queue.sqlite3, "
        "or leave it out: then the queue is a file in the data folder."
    )


# Both import what only those have who asked for it.


def on_redis(url: str, name: str) -> ServedQueue:
    try:
        from sidecar.queues.redis import redis_queue  # noqa: PLC0415
    except ImportError as exc:
        raise SettingsUnusable(NEEDS_EXTRA.format(server="Redis", extra="redis")) from exc
    return redis_queue(url, name)


def on_postgresql(url: str, name: str) -> ServedQueue:
    try:
        from sidecar.queues.postgresql import postgres_queue  # noqa: PLC0415
    except ImportError as exc:
        raise SettingsUnusable(NEEDS_EXTRA.format(server="PostgreSQL", extra="postgresql")) from exc
    return postgres_queue(url, name)
