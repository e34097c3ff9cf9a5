"""
The jobs of a queue as rows, and every decision about them.

A row is the truth about its job. Each time a job is taken, the row gets a new *lease*, which the taken job carries: an
attempt whose lease is not the row's any more has been replaced (its worker was thought dead) and may not change it.
A queued job is either ready or waits for its moment (`due`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

from saq.job import TERMINAL_STATUSES, Job, Status
from saq.utils import millis, now, now_seconds

if TYPE_CHECKING:
    from saq.types import WorkerInfo

DEAD_AFTER_S = 10.0  #: a worker that has missed its own report by this much is thought dead
UNCLAIMED_S = 15.0  #: a job that was taken and not begun goes back after this; to begin it takes one write

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
DUE = """
SELECT sequence, key FROM queue_jobs WHERE queue = ? AND status = 'queued' AND ready = 0 AND due <= ?
ORDER BY due, sequence
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
# By status first: what runs, then what waits.
SOONEST = """
SELECT job, status FROM queue_jobs WHERE queue = ? AND status IN ('new', 'queued', 'active')
ORDER BY status, ready DESC, priority, due, sequence LIMIT ? OFFSET ?
"""
ONE = "SELECT sequence, status, lease, job FROM queue_jobs WHERE queue = ? AND key = ?"
HELD = "SELECT sequence, status, lease, job FROM queue_jobs WHERE queue = ? AND status IN ('active', 'aborting')"


class TakenJob(Job):
    """A job as the one who works on it holds it. The lease is no field of SAQ's, so it is not stored in the job."""

    lease: int


class Row(NamedTuple):
    """What is stored of a job, whatever a job object believes."""

    sequence: int
    status: Status
    lease: int
    payload: Any

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_STATUSES

    def belongs_to(self, lease: int | None) -> bool:
        """Is it in the hands of this attempt? Whoever has no lease looks at it from outside and is not asked."""
        return lease is None or (self.lease == lease and self.status in (Status.ACTIVE, Status.ABORTING))

    def may_be_updated(self, lease: int | None, believed: Status) -> bool:
        """May this attempt write down what it says of itself? After the end only who knows that and how it ended."""
        if self.ended:
            return believed is self.status and lease in (None, self.lease)
        return self.belongs_to(lease)

    def may_end(self, lease: int | None, status: Status) -> bool:
        """May this attempt end it so? Work that is done counts even if the job was queued again meanwhile."""
        done_anyway = self.status is Status.QUEUED and status is Status.COMPLETE and self.lease == lease
        return not self.ended and (self.belongs_to(lease) or done_anyway)


class JobTable:
    """
    The rows of one queue. Every method runs inside a transaction of its caller's.

    Args:
        read: Makes a job of its stored form.
        write: Makes the stored form of a job.
        swept_error: What the error of a job says that the sweep stopped, and by which it is told from a person's wish.
    """

    def __init__(
        self, name: str, read: Callable[[Any, Status | str], Job], write: Callable[[Job], Any], swept_error: str
    ) -> None:
        self._name = name
        self._read = read
        self._write = write
        self._swept_error = swept_error

    # Looking

    def count(self, connection: Connection, kind: str) -> int:
        (count,) = connection.execute(COUNTS[kind], (self._name,)).fetchone()
        return int(count)

    def counts(self, connection: Connection) -> dict[str, int]:
        return {kind: self.count(connection, kind) for kind in COUNTS}

    def soonest(self, connection: Connection, offset: int, limit: int) -> list[Job]:
        return [self._read(*row) for row in connection.execute(SOONEST, (self._name, limit, offset))]

    def by_key(self, connection: Connection, keys: Sequence[str]) -> dict[str, Job]:
        rows = connection.execute(BY_KEY, (self._name, now_seconds(), json.dumps(keys)))
        return {key: self._read(payload, status) for key, payload, status in rows}

    def by_status(self, connection: Connection, statuses: Iterable[str], after_key: str, limit: int) -> list[Job]:
        values = (self._name, now_seconds(), json.dumps(list(statuses)), after_key, limit)
        return [self._read(payload, status) for _, payload, status in connection.execute(BY_STATUS, values)]

    def anything_to_take(self, connection: Connection) -> bool:
        (answer,) = connection.execute(ANYTHING_TO_TAKE, {"queue": self._name, "now": now_seconds()}).fetchone()
        return bool(answer)

    # Putting in and taking out

    def put_in(self, connection: Connection, job: Job, payload: Any) -> bool:
        """Add a job unless one of its key is queued or runs. One that has ended makes room for it."""
        due = float(job.scheduled) or now_seconds()
        values = {
            "queue": self._name,
            "key": job.key,
            "ready": int(not job.scheduled),
            "priority": job.priority,
            "due": due,
            "group_key": job.group_key,
            "job": payload,
            # SAQ computes a cron job's next moment before it enqueues it. If the job runs in between, the same moment
            # must not be enqueued once more.
            "once_at": due if job.key.startswith("cron:") else None,
        }
        return connection.execute(ENQUEUE, values).rowcount == 1

    def make_ready(self, connection: Connection) -> list[str]:
        """Let what is due be taken; the keys of it, in their order."""
        rows = connection.execute(DUE, (self._name, now_seconds())).fetchall()
        connection.executemany("UPDATE queue_jobs SET ready = 1 WHERE sequence = ?", [(row[0],) for row in rows])
        return [key for _, key in rows]

    def take(self, connection: Connection) -> TakenJob | None:
        self.make_ready(connection)
        row = connection.execute(NEXT, (self._name,)).fetchone()
        if row is None:
            return None
        sequence, payload, lease = row
        job = TakenJob(**vars(self._read(payload, Status.ACTIVE)))
        job.worker_id = None  # SAQ writes who works on it when it begins
        job.started = job.touched = now()
        # The time makes it differ from the leases of an earlier row of this key, which is gone.
        job.lease = max(lease + 1, job.started)
        connection.execute(
            "UPDATE queue_jobs SET status = 'active', lease = ?, job = ? WHERE sequence = ?",
            (job.lease, self._write(job), sequence),
        )
        return job

    def put_back(self, connection: Connection, job: TakenJob) -> None:
        """Undo a taking of which nobody has heard: the job keeps its place."""
        connection.execute(
            "UPDATE queue_jobs SET status = 'queued', ready = 1 "
            "WHERE queue = ? AND key = ? AND lease = ? AND status = 'active'",
            (self._name, job.key, job.lease),
        )

    # What an attempt says of its job

    def update(self, connection: Connection, job: Job, payload: Any, status: Status | None, believed: Status) -> bool:
        """Store what a job says of itself; False if the job is not this attempt's any more."""
        row, lease = self._row(connection, job.key), lease_of(job)
        if row is None or not row.may_be_updated(lease, believed):
            return lease is None
        if row.status is Status.ABORTING and status in (None, Status.ACTIVE):
            # Somebody wants it to end and has said why: beginning it, or its heartbeat, must not take that back.
            wanted, job = self._stored_job(row), self._read(payload, Status.ABORTING)
            job.error, status = wanted.error, Status.ABORTING
            payload = self._write(job)
        connection.execute(
            "UPDATE queue_jobs SET job = ?, status = ? WHERE sequence = ?",
            (payload, Status(status or row.status).value, row.sequence),
        )
        return True

    def finish(
        self, connection: Connection, job: Job, payload: Any, status: Status, *, only_from: Status | None = None
    ) -> None:
        """End a job, unless it has ended or belongs to another attempt."""
        row = self._row(connection, job.key)
        if row is None or not row.may_end(lease_of(job), status) or only_from not in (None, row.status):
            return
        if status is Status.ABORTED and row.status is Status.ABORTING:
            self._give_back(connection, row, self._stored_job(row))
        else:
            self._end(connection, row, payload, status, ttl=job.ttl)

    def retry(self, connection: Connection, job: Job, payload: Any, delay_s: float) -> None:
        """Queue a job again, unless it belongs to another attempt. One that was told to stop ends if it should."""
        row = self._row(connection, job.key)
        if row is None or not row.belongs_to(lease_of(job)):
            return
        if row.status is Status.ABORTING:
            self._give_back(connection, row, self._stored_job(row))
        else:
            self._requeue(connection, row, payload, delay_s=delay_s)

    def abort(self, connection: Connection, key: str, error: str) -> Job | None:
        """End a job that waits, tell one that runs to stop; the job as it is then, None if there is nothing to do."""
        row = self._row(connection, key)
        if row is None or row.ended or row.status is Status.ABORTING:
            return None
        job = self._stored_job(row)
        job.error = error
        if row.status is Status.ACTIVE:
            self._tell_to_stop(connection, row, job)
        else:
            self._abort_now(connection, row, job)
        return job

    # Workers, and what becomes of the jobs of those that died

    def report_worker(self, connection: Connection, worker_id: str, info: WorkerInfo, ttl_s: float) -> None:
        values = (worker_id, info["queue_key"] or self._name, json.dumps(info), now_seconds() + ttl_s)
        connection.execute("INSERT OR REPLACE INTO queue_workers VALUES (?, ?, ?, ?)", values)

    def workers(self, connection: Connection) -> dict[str, WorkerInfo]:
        rows = connection.execute(
            "SELECT worker_id, info FROM queue_workers WHERE queue = ? AND expire_at > ?", (self._name, now_seconds())
        )
        return {worker_id: json.loads(text) for worker_id, text in rows}

    def release(self, connection: Connection, worker_id: str) -> list[str]:
        """Forget a worker that has stopped and queue again what it still has; the keys of it."""
        connection.execute("DELETE FROM queue_workers WHERE worker_id = ?", (worker_id,))
        left = [(row, job) for row, job in self._held(connection) if job.worker_id == worker_id]
        for row, job in left:
            job.error = job.error or "cancelled"
            self._give_back(connection, row, job, uses_up_a_try=False)
        return [job.key for _, job in left]

    def begin_sweep(self, connection: Connection, own_workers: Iterable[str]) -> tuple[list[str], dict[str, int]]:
        """
        Remove what has expired, take back what dead workers had, tell to stop what is stuck.

        Returns:
            The keys of what was taken back, and key -> lease of what shall stop.
        """
        moment = now_seconds()
        connection.execute("DELETE FROM queue_jobs WHERE expire_at <= ?", (moment,))
        connection.execute("DELETE FROM queue_workers WHERE expire_at <= ?", (moment - DEAD_AFTER_S,))
        # Whoever sweeps is alive, even if the machine slept for an hour and its reports are that old.
        alive = {row[0] for row in connection.execute("SELECT worker_id FROM queue_workers")}.union(own_workers)
        returned: list[str] = []
        stopping: dict[str, int] = {}
        for row, job in self._held(connection):
            if is_abandoned(job, alive):
                job.error = job.error or self._swept_error
                self._give_back(connection, row, job)
                returned.append(job.key)
            elif job.stuck:
                if row.status is Status.ACTIVE:
                    job.error = self._swept_error
                    self._tell_to_stop(connection, row, job)
                stopping[job.key] = row.lease
        return returned, stopping

    def end_sweep(self, connection: Connection, stopping: dict[str, int]) -> None:
        """Take back what has not stopped. What ended meanwhile stays as it ended."""
        for key, lease in stopping.items():
            row = self._row(connection, key)
            if row is not None and row.lease == lease and row.status is Status.ABORTING:
                self._give_back(connection, row, self._stored_job(row))

    # One row

    def _row(self, connection: Connection, key: str) -> Row | None:
        row = connection.execute(ONE, (self._name, key)).fetchone()
        return Row(row[0], Status(row[1]), *row[2:]) if row else None

    def _held(self, connection: Connection) -> list[tuple[Row, Job]]:
        """Every job that somebody has, or had when they died."""
        rows = [Row(row[0], Status(row[1]), *row[2:]) for row in connection.execute(HELD, (self._name,))]
        return [(row, self._stored_job(row)) for row in rows]

    def _stored_job(self, row: Row) -> Job:
        return self._read(row.payload, row.status)

    def _tell_to_stop(self, connection: Connection, row: Row, job: Job) -> None:
        job.status = Status.ABORTING
        connection.execute(
            "UPDATE queue_jobs SET status = 'aborting', job = ? WHERE sequence = ?", (self._write(job), row.sequence)
        )

    def _give_back(self, connection: Connection, row: Row, job: Job, *, uses_up_a_try: bool = True) -> None:
        """
        An attempt is over without an end of its own: queue the job again, or end it when no try is left.

        Whoever was told to stop by the sweep may have a try left; whoever was told by a person has none.
        """
        wanted_by_person = row.status is Status.ABORTING and job.error != self._swept_error
        if wanted_by_person or (uses_up_a_try and not job.retryable):
            self._abort_now(connection, row, job)
            return
        job.status, job.started, job.completed, job.progress, job.touched = Status.QUEUED, 0, 0, 0.0, now()
        delay_s = job.next_retry_delay() if uses_up_a_try else 0.0
        self._requeue(connection, row, self._write(job), delay_s=delay_s)

    def _abort_now(self, connection: Connection, row: Row, job: Job) -> None:
        job.status, job.completed = Status.ABORTED, now()
        self._end(connection, row, self._write(job), Status.ABORTED, ttl=job.ttl)

    def _requeue(self, connection: Connection, row: Row, payload: Any, *, delay_s: float) -> None:
        connection.execute(
            "UPDATE queue_jobs SET status = 'queued', ready = ?, due = ?, expire_at = NULL, job = ? WHERE sequence = ?",
            (int(not delay_s), now_seconds() + delay_s, payload, row.sequence),
        )

    def _end(self, connection: Connection, row: Row, payload: Any, status: Status, *, ttl: int) -> None:
        if ttl < 0:
            connection.execute("DELETE FROM queue_jobs WHERE sequence = ?", (row.sequence,))
            return
        connection.execute(
            "UPDATE queue_jobs SET status = ?, expire_at = ?, job = ? WHERE sequence = ?",
            (status.value, now_seconds() + ttl if ttl else None, payload, row.sequence),
        )


def lease_of(job: Job) -> int | None:
    """The lease of an attempt; None for a job that was only looked up, or is just being put in."""
    return job.lease if isinstance(job, TakenJob) else None


def is_abandoned(job: Job, alive: set[str]) -> bool:
    """Did whoever took this job die?"""
    silent_ms = now() - job.touched
    if job.worker_id is None:
        return silent_ms > millis(UNCLAIMED_S)
    return job.worker_id not in alive and silent_ms > millis(DEAD_AFTER_S)
