"""
SAQ's queue in a SQLite file: durable, with nothing to install, for one machine and any number of processes.

A job's row is the truth about it, and every step reads the row under the writer lock before it changes it. Each time
a job is taken, its row gets a new *lease*, which the taken job carries. An attempt whose lease is not the row's any
more has been replaced (its worker was thought dead): it may not change the row, and learns so at its next heartbeat.

    enqueue -> queued --dequeue--> active --finish--> complete | failed | aborted --(ttl)--> gone
                 ^                   |  ^
                 +------retry--------+  +--abort--> aborting --> aborted

A queued job is either ready or waits for its moment (`due`); `schedule` makes ready what is due.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from saq.job import TERMINAL_STATUSES, Job, Status
from saq.queue import Queue
from saq.utils import millis, now, now_seconds

from sidecar.errors import GenonautError, SettingsUnusable
from sidecar.queues.sqlite_file import QueueUnavailable, SqliteFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saq.types import CountKind, DumpType, ListenCallback, LoadType, QueueInfo, WorkerInfo

__all__ = ["AttemptReplaced", "QueueUnavailable", "SqliteQueue"]

URL_START = "sqlite:///"

POLL_S = 0.5  #: how late at most a job is seen that another process put in, or whose moment has come
PAUSE_WHEN_UNAVAILABLE_S = 1.0
DEAD_AFTER_S = 10.0  #: a worker that has missed its own report by this much is thought dead
UNCLAIMED_S = 60.0  #: a job that was taken and never begun goes back after this

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS queue_jobs (
  sequence INTEGER PRIMARY KEY,
  queue TEXT NOT NULL,
  key TEXT NOT NULL,
  status TEXT NOT NULL,
  ready INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  due REAL NOT NULL,
  group_key TEXT,
  lease INTEGER NOT NULL DEFAULT 0,
  expire_at REAL,
  job BLOB NOT NULL,
  UNIQUE (queue, key)
);
CREATE INDEX IF NOT EXISTS queue_jobs_ready ON queue_jobs (queue, priority, due, sequence)
  WHERE status = 'queued' AND ready = 1;
CREATE INDEX IF NOT EXISTS queue_jobs_waiting ON queue_jobs (queue, due)
  WHERE status = 'queued' AND ready = 0;
CREATE INDEX IF NOT EXISTS queue_jobs_status ON queue_jobs (queue, status, group_key);
CREATE INDEX IF NOT EXISTS queue_jobs_expiry ON queue_jobs (expire_at) WHERE expire_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS queue_workers (
  worker_id TEXT PRIMARY KEY,
  queue TEXT NOT NULL,
  info TEXT NOT NULL,
  expire_at REAL NOT NULL
)
"""

ENQUEUE = """
INSERT INTO queue_jobs (queue, key, status, ready, priority, due, group_key, job)
VALUES (:queue, :key, 'queued', :ready, :priority, :due, :group_key, :job)
ON CONFLICT (queue, key) DO UPDATE SET
  status = excluded.status, ready = excluded.ready, priority = excluded.priority, due = excluded.due,
  group_key = excluded.group_key, job = excluded.job, expire_at = NULL
WHERE status IN ('complete', 'failed', 'aborted') AND due IS NOT :once_at
"""
NEXT = """
SELECT sequence, job, lease FROM queue_jobs AS candidate
WHERE queue = ? AND status = 'queued' AND ready = 1 AND (group_key IS NULL OR NOT EXISTS (
  SELECT 1 FROM queue_jobs AS other WHERE other.queue = candidate.queue
  AND other.status IN ('active', 'aborting') AND other.group_key = candidate.group_key))
ORDER BY priority, due, sequence LIMIT 1
"""
ANYTHING_TO_TAKE = """
SELECT EXISTS (SELECT 1 FROM queue_jobs WHERE queue = :queue AND status = 'queued' AND ready = 1)
    OR EXISTS (SELECT 1 FROM queue_jobs WHERE queue = :queue AND status = 'queued' AND ready = 0 AND due <= :now)
"""
COUNTS = {
    "queued": "SELECT count(*) FROM queue_jobs WHERE queue = ? AND status = 'queued' AND ready = 1",
    "active": "SELECT count(*) FROM queue_jobs WHERE queue = ? AND status = 'active'",
    "incomplete": "SELECT count(*) FROM queue_jobs WHERE queue = ? AND status IN ('new', 'queued', 'active')",
}
BY_KEY = """
SELECT key, job, status FROM queue_jobs
WHERE queue = ? AND (expire_at IS NULL OR expire_at > ?) AND key IN (SELECT value FROM json_each(?))
"""
BY_STATUS = """
SELECT key, job, status FROM queue_jobs
WHERE queue = ? AND (expire_at IS NULL OR expire_at > ?) AND status IN (SELECT value FROM json_each(?)) AND key > ?
ORDER BY key LIMIT ?
"""
DUE = """
SELECT sequence, key FROM queue_jobs WHERE queue = ? AND status = 'queued' AND ready = 0 AND due <= ?
ORDER BY due, sequence
"""
SOONEST = """
SELECT job, status FROM queue_jobs WHERE queue = ? AND status IN ('new', 'queued', 'active')
ORDER BY status, ready DESC, priority, due, sequence LIMIT ? OFFSET ?
"""


class AttemptReplaced(GenonautError):
    """This attempt at a job has been given up and the job belongs to another one. It must stop."""

    code = "attempt_replaced"


class TakenJob(Job):
    """A job as the one who works on it holds it. The lease is no field of SAQ's, so it is not stored in the job."""

    lease: int


class Stored(NamedTuple):
    """What a row says, whatever a job object believes."""

    sequence: int
    status: Status
    lease: int
    payload: Any


class SqliteQueue(Queue):
    """
    One named queue in one file. One an event loop; several, in any number of processes, may share the file.

    Args:
        path: The file; made when it is not there. Its folder must exist, and must not be a network drive.
        name: The queue's name; several fit into one file.
    """

    def __init__(
        self,
        path: Path,
        name: str = "default",
        dump: DumpType | None = None,
        load: LoadType | None = None,
        swept_error_message: str | None = None,
    ) -> None:
        super().__init__(name=name, dump=dump, load=load, swept_error_message=swept_error_message)
        self._file = SqliteFile(path, schema=SCHEMA, version=SCHEMA_VERSION)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._watch: asyncio.Task[None] | None = None
        self._news: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._in_hand: set[tuple[str, int]] = set()
        self._all_returned = asyncio.Event()
        self._draining = False
        self._own_workers: set[str] = set()
        self._available = True

    @classmethod
    def from_url(cls: type[SqliteQueue], url: str, **kwargs: Any) -> SqliteQueue:
        """
        The queue in the file that a URL names: `sqlite:////var/lib/q.sqlite3`, `sqlite:///C:/data/q.sqlite3`.

        Raises:
            SettingsUnusable: The URL names no file.
        """
        path = url.removeprefix(URL_START)
        if not url.startswith(URL_START) or not path or path == ":memory:":
            raise SettingsUnusable(f"{url} names no file for the queue. Use {URL_START}FOLDER/queue.sqlite3.")
        return cls(Path(path), **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}<path={self._file.path}, name='{self.name}'>"

    def job_id(self, job_key: str) -> str:
        """As SAQ's queue on Redis has it, so that log lines look the same on every queue."""
        return f"saq:job:{self.name}:{job_key}"

    # Opening and closing

    async def connect(self) -> None:
        """Open the file, making it if need be."""
        await super().connect()
        await self._file.read(lambda _connection: None)
        self._draining = False

    async def disconnect(self) -> None:
        """Stop waiting and close the file. Jobs that were taken stay with their workers."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        await self._file.close()

    async def drain(self) -> None:
        """Hand out no more jobs, and return when those in hand have ended."""
        self._draining = True
        self._all_returned.clear()
        if self._in_hand:
            await self._all_returned.wait()

    async def release(self, worker_id: str) -> None:
        """A worker of this process has stopped: forget it, and take back whatever it still has."""
        self._own_workers.discard(worker_id)

        def work(connection: sqlite3.Connection) -> list[str]:
            connection.execute("DELETE FROM queue_workers WHERE worker_id = ?", (worker_id,))
            left = [(row, job) for row, job in self._held(connection) if job.worker_id == worker_id]
            for row, job in left:
                self._give_back(connection, row, job, error=job.error or "cancelled", counts=False)
            return [job.key for _, job in left]

        self._tell(await self._file.write(work))

    # Looking

    async def info(self, jobs: bool = False, offset: int = 0, limit: int = 10) -> QueueInfo:  # noqa: FBT001, FBT002 - SAQ's
        """Workers, counts and, if wanted, the jobs that run or run soonest."""

        def work(connection: sqlite3.Connection) -> tuple[list[Any], dict[str, int], list[Any]]:
            workers = connection.execute(
                "SELECT worker_id, info FROM queue_workers WHERE queue = ? AND expire_at > ?",
                (self.name, now_seconds()),
            ).fetchall()
            counts = {kind: self._count(connection, kind) for kind in COUNTS}
            rows = connection.execute(SOONEST, (self.name, limit, offset)).fetchall() if jobs else []
            return workers, counts, rows

        workers, counts, rows = await self._file.read(work)
        return {
            "workers": {worker_id: json.loads(text) for worker_id, text in workers},
            "name": self.name,
            "queued": counts["queued"],
            "active": counts["active"],
            "scheduled": counts["incomplete"] - counts["queued"] - counts["active"],
            "jobs": [self._read_job(payload, status).to_dict() for payload, status in rows],
        }

    async def count(self, kind: CountKind) -> int:
        if kind not in COUNTS:
            raise ValueError(f"Can't count unknown type {kind}")
        return await self._file.read(lambda connection: self._count(connection, kind))

    def _count(self, connection: sqlite3.Connection, kind: str) -> int:
        (count,) = connection.execute(COUNTS[kind], (self.name,)).fetchone()
        return int(count)

    async def job(self, job_key: str) -> Job | None:
        return (await self.jobs([job_key]))[0]

    async def jobs(self, job_keys: Iterable[str]) -> list[Job | None]:
        """The jobs of these keys in their order; None where there is none (any more)."""
        keys = list(job_keys)

        def work(connection: sqlite3.Connection) -> dict[str, Job]:
            rows = connection.execute(BY_KEY, (self.name, now_seconds(), json.dumps(keys)))
            return {key: self._read_job(payload, status) for key, payload, status in rows}

        found = await self._file.read(work)
        return [found.get(key) for key in keys]

    async def iter_jobs(self, statuses: Sequence[Status] = tuple(Status), batch_size: int = 100) -> AsyncIterator[Job]:
        """Every job in one of these states, in the order of their keys."""
        wanted = [Status(status).value for status in statuses]
        last_key = ""
        while True:
            values = (self.name, now_seconds(), json.dumps(wanted), last_key, batch_size)
            rows = await self._file.read(partial(fetch, statement=BY_STATUS, values=values))
            for _, payload, status in rows:
                yield self._read_job(payload, status)
            if len(rows) < batch_size:
                return
            last_key = rows[-1][0]

    async def listen(
        self,
        job_keys: Iterable[str],
        callback: ListenCallback,
        timeout: float | None = 10,
        poll_interval: float = POLL_S,
    ) -> None:
        """
        Tell `callback` the state of these jobs now and after each change, until it returns something true.

        Raises:
            asyncio.TimeoutError: The time was over first.
        """
        keys = list(job_keys)

        async def follow(news: asyncio.Event) -> None:
            while True:
                news.clear()
                for job in await self.jobs(keys):
                    if job is not None and await called(callback, job):
                        return
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(news.wait(), poll_interval)

        with self._news_of(keys) as news:
            await asyncio.wait_for(follow(news), timeout or None)

    async def notify(self, job: Job) -> None:
        """Wake those in this process who listen to a job; others poll."""
        self._tell([job.key])

    # Putting in

    async def _enqueue(self, job: Job) -> Job | None:
        """Put a job in unless one of its key is queued or runs. One that has ended makes room for it."""
        due = float(job.scheduled) or now_seconds()
        values = {
            "queue": self.name,
            "key": job.key,
            "ready": int(not job.scheduled),
            "priority": job.priority,
            "due": due,
            "group_key": job.group_key,
            "job": self.serialize(job),
            # SAQ computes a cron job's next moment before it enqueues it. If the job runs in between, the same moment
            # must not be enqueued once more.
            "once_at": due if job.key.startswith("cron:") else None,
        }
        entered = await self._file.write(lambda connection: connection.execute(ENQUEUE, values).rowcount)
        if not entered:
            return None
        self._ring()
        self._tell([job.key])
        logger.info("Enqueuing %s", job.info(logger.isEnabledFor(logging.DEBUG)))
        return job

    async def schedule(self, _lock: int = 1) -> list[str]:
        """Make ready what is due. No lock is needed: what is ready already is not made ready twice."""

        def work(connection: sqlite3.Connection) -> list[str]:
            return [self.job_id(key) for key in self._make_ready(connection)]

        if not await self._file.read(self._anything_to_take):
            return []
        return await self._file.write(work)

    def _make_ready(self, connection: sqlite3.Connection) -> list[str]:
        rows = connection.execute(DUE, (self.name, now_seconds())).fetchall()
        connection.executemany("UPDATE queue_jobs SET ready = 1 WHERE sequence = ?", [(row[0],) for row in rows])
        return [key for _, key in rows]

    # Taking out

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:
        """Take the next job, waiting for one for `timeout` seconds (0: for ever). A cancelled caller takes none."""
        poll_s = poll_interval or POLL_S
        if not timeout:
            return await self._wait_for_job(poll_s)
        try:
            return await asyncio.wait_for(self._wait_for_job(poll_s), timeout)
        except asyncio.TimeoutError:
            return None

    async def _wait_for_job(self, poll_s: float) -> Job:
        while True:
            if not self._draining and (job := await self._take()) is not None:
                return job
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            if self._watch is None or self._watch.done():
                self._watch = asyncio.create_task(self._watch_for_others(poll_s))
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._ring()  # it was this one's turn: let the next one have it
                raise
            finally:
                with suppress(ValueError):
                    self._waiters.remove(waiter)

    async def _take(self) -> Job | None:
        taking = asyncio.ensure_future(self._try_to_take())
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            job = await taking
            if job is not None:
                await self._put_back(job)
            raise

    async def _try_to_take(self) -> TakenJob | None:
        try:
            # Looking first: the writer lock is not taken for nothing.
            found = await self._file.read(self._anything_to_take)
            job = await self._file.write(self._take_next) if found else None
        except QueueUnavailable:
            # SAQ would ask again at once and say nothing.
            if self._available:
                logger.exception("The queue cannot be used")
            self._available = False
            await asyncio.sleep(PAUSE_WHEN_UNAVAILABLE_S)
            raise
        self._available = True
        if job is not None:
            self._in_hand.add((job.key, job.lease))
            self._tell([job.key])
        return job

    def _anything_to_take(self, connection: sqlite3.Connection) -> bool:
        (answer,) = connection.execute(ANYTHING_TO_TAKE, {"queue": self.name, "now": now_seconds()}).fetchone()
        return bool(answer)

    def _take_next(self, connection: sqlite3.Connection) -> TakenJob | None:
        self._make_ready(connection)
        row = connection.execute(NEXT, (self.name,)).fetchone()
        if row is None:
            return None
        sequence, payload, lease = row
        job = TakenJob(**vars(self._read_job(payload, Status.ACTIVE)))
        job.lease = lease + 1
        job.worker_id = None  # SAQ writes who works on it when it begins
        job.started = job.touched = now()
        connection.execute(
            "UPDATE queue_jobs SET status = 'active', lease = ?, job = ? WHERE sequence = ?",
            (job.lease, self.serialize(job), sequence),
        )
        return job

    async def _put_back(self, job: TakenJob) -> None:
        """Undo a taking that nobody waits for any more: the job keeps its place."""
        self._let_go(job)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE queue_jobs SET status = 'queued', ready = 1 "
                "WHERE queue = ? AND key = ? AND lease = ? AND status = 'active'",
                (self.name, job.key, job.lease),
            )

        await self._file.write(work)
        self._ring()

    async def _watch_for_others(self, poll_s: float) -> None:
        """While somebody waits: see what other processes put in and what has become due."""
        while self._waiters:
            with suppress(QueueUnavailable):  # whoever takes next says so
                if await self._file.read(self._anything_to_take):
                    self._ring(everybody=True)
            await asyncio.sleep(poll_s)

    def _ring(self, *, everybody: bool = False) -> None:
        """Wake the one who waits longest: there is a job, or there will be."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                if not everybody:
                    return

    # Changing

    async def update(self, job: Job, **kwargs: Any) -> None:
        """
        Write down what a job says of itself; with nothing to say, a heartbeat. Its state changes only if it is named.

        Raises:
            AttemptReplaced: The job was taken from this attempt, or has ended without it.
        """
        job.touched = now()
        for name, value in kwargs.items():
            if hasattr(job, name):
                setattr(job, name, value)
        await self._update(job, **kwargs)

    async def _update(self, job: Job, status: Status | None = None, **_kwargs: Any) -> None:
        # Before the first await: `refresh` may put the stored values back into the same object meanwhile.
        payload = self.serialize(job)
        believed, lease = job.status, lease_of(job)

        def work(connection: sqlite3.Connection) -> bool:
            row = self._stored(connection, job.key)
            if row is None:
                return lease is None
            if lease is not None and (row.lease != lease or row.status not in (Status.ACTIVE, Status.ABORTING)):
                return False
            if row.status in TERMINAL_STATUSES and believed != row.status:
                return lease is None
            self._write_update(connection, row, payload, status)
            return True

        if not await self._file.write(work):
            raise AttemptReplaced
        self._tell([job.key])

    def _write_update(self, connection: sqlite3.Connection, row: Stored, payload: Any, status: Status | None) -> None:
        if row.status is Status.ABORTING and (status is None or status is Status.ACTIVE):
            # Somebody wants it to end and has said why: beginning it, or its heartbeat, must not take that back.
            job = self._read_job(payload, Status.ABORTING)
            job.error = self._read_job(row.payload, row.status).error
            payload, status = self.serialize(job), Status.ABORTING
        connection.execute(
            "UPDATE queue_jobs SET job = ?, status = ? WHERE sequence = ?",
            (payload, Status(status or row.status).value, row.sequence),
        )

    async def _finish(
        self, job: Job, status: Status, *, result: Any = None, error: str | None = None, only_from: Status | None = None
    ) -> None:
        """End a job, unless it has ended or belongs to another attempt. `result` and `error` are in the job already."""
        payload, lease = self.serialize(job), lease_of(job)

        def work(connection: sqlite3.Connection) -> None:
            row = self._stored(connection, job.key)
            if row is None or row.status in TERMINAL_STATUSES or not may_end(row, lease, status):
                return
            if only_from is not None and row.status is not only_from:
                return
            if status is Status.ABORTED and row.status is Status.ABORTING:
                # Who was told to stop by the sweep may have a try left; who was told by a person has none.
                self._give_back(connection, row, self._read_job(row.payload, row.status))
            else:
                self._end(connection, row, payload, status, ttl=job.ttl)

        try:
            await self._file.write(work)
        finally:
            self._let_go(job)
        self._tell([job.key])
        if job.group_key is not None:
            self._ring()

    async def finish_abort(self, job: Job) -> None:
        """End a job that was told to stop; SAQ calls this once more after the job has ended by itself."""
        stored = await self.job(job.key)
        if stored is not None and stored.status is Status.ABORTING:
            await self.finish(job, Status.ABORTED, error=job.error, only_from=Status.ABORTING)

    async def _retry(self, job: Job, error: str | None) -> None:
        """Put a job back. One that somebody told to stop ends instead; so does nothing if another attempt has it."""
        payload, lease, delay_s = self.serialize(job), lease_of(job), job.next_retry_delay()

        def work(connection: sqlite3.Connection) -> None:
            row = self._stored(connection, job.key)
            if row is None:
                return
            if lease is not None and (row.lease != lease or row.status not in (Status.ACTIVE, Status.ABORTING)):
                return
            if row.status is Status.ABORTING:
                self._give_back(connection, row, self._read_job(row.payload, row.status))
            else:
                self._requeue(connection, row, payload, delay_s=delay_s)

        try:
            await self._file.write(work)
        finally:
            self._let_go(job)
        self._tell([job.key])
        self._ring()

    async def abort(self, job: Job, error: str, ttl: float = 5) -> None:
        """End a job that waits; tell one that runs to stop (its worker sees it within a second)."""

        def work(connection: sqlite3.Connection) -> Job | None:
            row = self._stored(connection, job.key)
            if row is None or row.status in TERMINAL_STATUSES or row.status is Status.ABORTING:
                return None
            stored = self._read_job(row.payload, Status.ABORTING)
            stored.error = error
            if row.status is Status.ACTIVE:
                self._tell_to_stop(connection, row, stored)
            else:
                stored.status, stored.completed = Status.ABORTED, now()
                self._end(connection, row, self.serialize(stored), Status.ABORTED, ttl=stored.ttl)
            return stored

        stored = await self._file.write(work)
        if stored is None:
            return
        job.status, job.error, job.completed = stored.status, stored.error, stored.completed
        if stored.status is Status.ABORTED:
            self.aborted += 1
        self._tell([job.key])

    # Workers, and what becomes of the jobs of those that died

    async def write_worker_info(self, worker_id: str, info: WorkerInfo, ttl: int) -> None:
        self._own_workers.add(worker_id)
        values = (worker_id, info["queue_key"] or self.name, json.dumps(info), now_seconds() + ttl)
        await self._file.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO queue_workers VALUES (?, ?, ?, ?)", values)
        )

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:
        """
        Remove what has expired; take jobs back from dead workers; stop and take back those that are stuck.

        A stuck job gets `abort` seconds to stop, all of them together. Each row is read again before it is taken back:
        whatever ended meanwhile stays as it ended. Two sweeps at once do no harm, so `lock` is not needed.
        """
        returned, stopping = await self._file.write(self._begin_sweep)
        self._tell([*returned, *stopping])
        if stopping:
            await self._wait_until_stopped(stopping, abort)
            self._tell(await self._file.write(lambda connection: self._end_sweep(connection, stopping)))
        if returned or stopping:
            self._ring(everybody=True)
            logger.info("Swept %s", [*returned, *stopping])
        return [self.job_id(key) for key in (*returned, *stopping)]

    def _begin_sweep(self, connection: sqlite3.Connection) -> tuple[list[str], dict[str, int]]:
        moment = now_seconds()
        connection.execute("DELETE FROM queue_jobs WHERE expire_at <= ?", (moment,))
        connection.execute("DELETE FROM queue_workers WHERE expire_at <= ?", (moment - DEAD_AFTER_S,))
        # Whoever sweeps is alive, even if the machine slept for an hour and its reports are that old.
        alive = {row[0] for row in connection.execute("SELECT worker_id FROM queue_workers")} | self._own_workers
        returned: list[str] = []
        stopping: dict[str, int] = {}
        for row, job in self._held(connection):
            if is_abandoned(job, alive):
                self._give_back(connection, row, job, error=job.error or self.swept_error_message)
                returned.append(job.key)
            elif job.stuck:
                if row.status is Status.ACTIVE:
                    job.error = self.swept_error_message
                    self._tell_to_stop(connection, row, job)
                stopping[job.key] = row.lease
        return returned, stopping

    async def _wait_until_stopped(self, stopping: dict[str, int], longest_s: float) -> None:
        running = set(stopping)

        def seen(key: str, status: Status) -> bool:
            if status is not Status.ABORTING:
                running.discard(key)
            return not running

        with suppress(asyncio.TimeoutError):
            await self.listen(stopping, seen, timeout=longest_s)

    def _end_sweep(self, connection: sqlite3.Connection, stopping: dict[str, int]) -> list[str]:
        for key, lease in stopping.items():
            row = self._stored(connection, key)
            if row is not None and row.lease == lease and row.status is Status.ABORTING:
                self._give_back(connection, row, self._read_job(row.payload, row.status))
        return list(stopping)

    # Rows. All of these run inside a transaction

    def _stored(self, connection: sqlite3.Connection, key: str) -> Stored | None:
        row = connection.execute(
            "SELECT sequence, status, lease, job FROM queue_jobs WHERE queue = ? AND key = ?", (self.name, key)
        ).fetchone()
        return Stored(row[0], Status(row[1]), row[2], row[3]) if row else None

    def _held(self, connection: sqlite3.Connection) -> list[tuple[Stored, Job]]:
        """Every job that somebody has, or had when they died."""
        rows = connection.execute(
            "SELECT sequence, status, lease, job FROM queue_jobs WHERE queue = ? AND status IN ('active', 'aborting')",
            (self.name,),
        ).fetchall()
        held = [Stored(row[0], Status(row[1]), row[2], row[3]) for row in rows]
        return [(row, self._read_job(row.payload, row.status)) for row in held]

    def _tell_to_stop(self, connection: sqlite3.Connection, row: Stored, job: Job) -> None:
        job.status = Status.ABORTING
        connection.execute(
            "UPDATE queue_jobs SET status = 'aborting', job = ? WHERE sequence = ?", (self.serialize(job), row.sequence)
        )

    def _give_back(
        self, connection: sqlite3.Connection, row: Stored, job: Job, *, error: str | None = None, counts: bool = True
    ) -> None:
        """An attempt is over without an end of its own: queue the job again if it may be tried again, else end it."""
        job.error = error or job.error
        wanted_by_person = row.status is Status.ABORTING and job.error != self.swept_error_message
        if wanted_by_person or (counts and not job.retryable):
            job.status, job.completed = Status.ABORTED, now()
            self._end(connection, row, self.serialize(job), Status.ABORTED, ttl=job.ttl)
            return
        job.status, job.started, job.completed, job.progress, job.touched = Status.QUEUED, 0, 0, 0.0, now()
        self._requeue(connection, row, self.serialize(job), delay_s=job.next_retry_delay() if counts else 0.0)

    def _requeue(self, connection: sqlite3.Connection, row: Stored, payload: Any, *, delay_s: float) -> None:
        connection.execute(
            "UPDATE queue_jobs SET status = 'queued', ready = ?, due = ?, expire_at = NULL, job = ? WHERE sequence = ?",
            (int(not delay_s), now_seconds() + delay_s, payload, row.sequence),
        )

    def _end(self, connection: sqlite3.Connection, row: Stored, payload: Any, status: Status, *, ttl: int) -> None:
        if ttl < 0:
            connection.execute("DELETE FROM queue_jobs WHERE sequence = ?", (row.sequence,))
            return
        connection.execute(
            "UPDATE queue_jobs SET status = ?, expire_at = ?, job = ? WHERE sequence = ?",
            (status.value, now_seconds() + ttl if ttl else None, payload, row.sequence),
        )

    def _read_job(self, payload: Any, status: Status | str) -> Job:
        job = self.deserialize(payload, status)
        if job is None:
            raise QueueUnavailable(f"The queue {self._file.path} holds an empty job.")
        return job

    # Who waits in this process

    def _let_go(self, job: Job) -> None:
        if (lease := lease_of(job)) is not None:
            self._in_hand.discard((job.key, lease))
            if not self._in_hand:
                self._all_returned.set()

    def _tell(self, keys: Iterable[str]) -> None:
        for key in keys:
            for news in self._news.get(key, ()):
                news.set()

    @contextmanager
    def _news_of(self, keys: Sequence[str]) -> Iterator[asyncio.Event]:
        news = asyncio.Event()
        for key in keys:
            self._news[key].add(news)
        try:
            yield news
        finally:
            for key in keys:
                self._news[key].discard(news)
                if not self._news[key]:
                    del self._news[key]


def fetch(connection: sqlite3.Connection, statement: str, values: Sequence[Any]) -> list[Any]:
    return connection.execute(statement, values).fetchall()


def lease_of(job: Job) -> int | None:
    """The lease of an attempt; None for a job that was only looked up, or is just being put in."""
    return job.lease if isinstance(job, TakenJob) else None


def may_end(row: Stored, lease: int | None, status: Status) -> bool:
    """May an attempt end this row so? Work that is done counts even if the job was queued again meanwhile."""
    if lease is None:
        return True
    return row.lease == lease and (row.status is not Status.QUEUED or status is Status.COMPLETE)


def is_abandoned(job: Job, alive: set[str]) -> bool:
    """Did whoever took this job die?"""
    silent_ms = now() - job.touched
    if job.worker_id is None:
        return silent_ms > millis(UNCLAIMED_S)
    return job.worker_id not in alive and silent_ms > millis(DEAD_AFTER_S)


async def called(callback: ListenCallback, job: Job) -> Any:
    answer = callback(job.key, job.status)
    return await answer if iscoroutinefunction(callback) else answer


logger = logging.getLogger("saq")
