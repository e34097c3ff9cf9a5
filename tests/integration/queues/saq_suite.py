"""
SAQ's own rules for a queue (its `tests` folder, from its source release), run on a SqliteQueue.

    python saq_suite.py FOLDER_OF_THE_SOURCE_RELEASE

SAQ writes the rules as base classes and runs them on Redis and PostgreSQL. Here they run on a queue of ours; the
drivers for the other two, which its files import, are replaced by empty modules.
"""

from __future__ import annotations

import sys
import tempfile
import unittest
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from saq import Job, Worker

from sidecar.queues.sqlite import SqliteQueue

NOT_OURS = {"test_pandas": None}
"""What says nothing about a queue: that a job object can hold a pandas table."""


async def create_queue(**kwargs: Any) -> SqliteQueue:
    queue = SqliteQueue(FOLDER / "queue.sqlite3", **kwargs)
    await queue.connect()
    return queue


async def cleanup_queue(queue: SqliteQueue) -> None:
    await queue.disconnect()
    remove_files()


def remove_files() -> None:
    for file in FOLDER.iterdir():
        file.unlink()


def put_in_place(name: str, **content: Any) -> None:
    module = ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module


def prepare(source: Path) -> None:
    """Give SAQ's test files what they import."""
    helpers = dict.fromkeys(
        ("create_redis_queue", "create_postgres_queue", "setup_postgres", "teardown_postgres"), create_queue
    )
    put_in_place("psycopg")
    put_in_place("psycopg.sql", SQL=str)
    put_in_place("saq.queue.postgres", PostgresQueue=type("PostgresQueue", (), {}))
    put_in_place("saq.queue.redis", RedisQueue=type("RedisQueue", (), {}))
    put_in_place("tests", __path__=[str(source / "tests")])
    put_in_place("tests.helpers", cleanup_queue=cleanup_queue, **helpers)


def on_sqlite(rules: type, set_up_more: Callable[[Any], None] = lambda _case: None) -> type[unittest.TestCase]:
    """SAQ's rules of one kind, on our queue."""

    async def set_up(self: Any) -> None:
        self.create_queue = create_queue
        self.queue = await create_queue()
        set_up_more(self)

    return type(f"{rules.__name__}OnSqlite", (rules,), {"asyncSetUp": set_up, **NOT_OURS})


def main() -> None:
    prepare(Path(sys.argv[1]))
    jobs, queues, workers = (import_module(f"tests.test_{name}") for name in ("job", "queue", "worker"))

    def set_up_job(case: Any) -> None:
        case.job = Job("func", queue=case.queue)

    def set_up_worker(case: Any) -> None:
        case.worker = Worker(case.queue, functions=workers.FUNCTIONS)

    suite = unittest.TestSuite()
    for rules in (
        on_sqlite(jobs.TestJob, set_up_job),
        on_sqlite(queues.TestQueue),
        on_sqlite(workers.TestWorker, set_up_worker),
    ):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(rules))
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    sys.exit(not result.wasSuccessful() or bool(result.skipped))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FOLDER = Path(folder)
        main()
