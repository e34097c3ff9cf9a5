"""
What a test runs on: what `--backend` names, which is everything embedded where nobody named anything. It takes its
settings from the fixture `backend`, or `database_url` and `queue_url`, and says no more; or

    @every_backend           on all three in one run, also where nobody asks: it depends on where things are kept
    @both_databases          likewise, where it has nothing to do with queues
    @with_servers            on both that have servers: it is about several processes, or about what servers do
    @with_postgresql         likewise, where it has nothing to do with queues
    @only_embedded("why")    elsewhere there is no such thing

Where another one than the embedded is named, each runs on that one alone.
"""

from __future__ import annotations

import pytest

EMBEDDED = "embedded"
BACKENDS = {
    EMBEDDED: ("sqlite_database_url", "sqlite_queue_url"),
    "postgresql": ("postgresql_database_url", "postgresql_queue_url"),
    "postgresql_redis": ("postgresql_database_url", "redis_queue_url"),
}
"""Name -> the fixtures that give the database's URL and the queue's."""

every_backend = pytest.mark.runs_on(*BACKENDS)
both_databases = pytest.mark.runs_on(EMBEDDED, "postgresql")
with_servers = pytest.mark.runs_on("postgresql", "postgresql_redis")
with_postgresql = pytest.mark.runs_on("postgresql")
only_embedded = pytest.mark.only_embedded


def chosen(config: pytest.Config) -> str:
    name: str = config.getoption("backend")
    return name


def give_backends(metafunc: pytest.Metafunc) -> None:
    """A marked test is as many as its mark says."""
    mark = metafunc.definition.get_closest_marker("runs_on")
    if mark is not None and "backend_name" in metafunc.fixturenames:
        named = chosen(metafunc.config)
        metafunc.parametrize("backend_name", mark.args if named == EMBEDDED else [named], indirect=True)


def skip_what_is_not_there(test: pytest.Item) -> None:
    mark = test.get_closest_marker("only_embedded")
    if mark is not None and chosen(test.config) != EMBEDDED:
        (why,) = mark.args
        pytest.skip(f"only embedded: {why}")
