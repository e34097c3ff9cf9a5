"""
What a test runs on.

    @every_backend     runs three times, with other settings and nothing else: for what depends on where things are kept
"""

from __future__ import annotations

import pytest

BACKENDS = {
    "embedded": ("sqlite_database_url", "sqlite_queue_url"),
    "postgresql": ("postgresql_database_url", "postgresql_queue_url"),
    "postgresql_redis": ("postgresql_database_url", "redis_queue_url"),
}
"""Name -> the fixtures that give the database's URL and the queue's."""

every_backend = pytest.mark.parametrize("backend", BACKENDS, indirect=True)
both_databases = pytest.mark.parametrize("backend", ["embedded", "postgresql"], indirect=True)
"""For what has nothing to do with queues."""
both_kinds = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
"""The same for what asks for a `database` alone and not for a sidecar's settings."""
