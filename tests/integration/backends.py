"""
What a test runs on.

    pytestmark = every_backend     each test of this file runs three times, with other settings and nothing else
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
