"""
SAQ's queue in a SQLite file: durable, with nothing to install, for one machine and any number of processes.

    enqueue -> queued --dequeue--> active --finish--> complete | failed | aborted --(ttl)--> gone
                 ^                   |  ^
                 +------retry--------+  +--abort--> aborting --> aborted

Here is the waiting and the waking; what may happen to a job, and when, is decided in `sqlite_jobs`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saq.job import Job, Status
from saq.queue import Queue
from saq.utils import now

from sidecar.errors import AttemptReplaced, QueueUnavailable, SettingsUnusable
from sidecar.queues.sqlite_file import SqliteFile
from sidecar.queues.sqlite_jobs import COUNTS, SCHEMA, SCHEMA_VERSION, JobTable, TakenJob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saq.types import CountKind, DumpType, ListenCallback, LoadType, QueueInfo, WorkerInfo


URL_START = "sqlite:///"

POLL_S = 0.5  #: how late at most a job is seen that another process put in, or whose moment has come
PAUSE_WHEN_UNAVAILABLE_S = 1.0

logger = logging.getLogger("saq")


class SqliteQueue(Queue):
    """
    One named queue in one file. One an event loop; several, in any number of processes, may share the file.

    Args:
        path: The file; made when it is not there. Its folder must exist, and must not be a network drive.
        name: The queue's name; several fit into one file.
    """

    polled_every_s = POLL_S

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
        self._table = JobTable(name, self._read_job, self.serialize, self.swept_error_message)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._watch: asyncio.Task[None] | None = None
        self._news: dict[str, set[asyncio.Event]] = defaultdict(set)
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

    async def disconnect(self) -> None:
        """Stop waiting and close the file. Jobs that were taken stay with their workers."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        await self._file.close()

    async def release(self, worker_id: str) -> None:
        """A worker of this process has stopped: forget it, and take back whatever it still has."""
        self._own_workers.discard(worker_id)
        self._tell(await self._file.write(partial(self._table.release, worker_id=worker_id)))

    # Looking

    async def info(self, jobs: bool = False, offset: int = 0, limit: int = 10) -> QueueInfo:  # noqa: FBT001, FBT002 - SAQ's
        """Workers, counts and, if wanted, the jobs that run or run soonest."""
        workers = await self._file.read(self._table.workers)
        counts = await self._file.read(self._table.counts)
        soonest = await self._file.read(partial(self._table.soonest, offset=offset, limit=limit)) if jobs else []
        return {
            "workers": workers,
            "name": self.name,
            "queued": counts["queued"],
            "active": counts["active"],
            "scheduled": counts["incomplete"] - counts["queued"] - counts["active"],
            "jobs": [job.to_dict() for job in soonest],
        }

    async def count(self, kind: CountKind) -> int:
        if kind not in COUNTS:
            raise ValueError(f"Can't count unknown type {kind}")
        return await self._file.read(partial(self._table.count, kind=kind))

    async def job(self, job_key: str) -> Job | None:
        return (await self.jobs([job_key]))[0]

    async def jobs(self, job_keys: Iterable[str]) -> list[Job | None]:
        """The jobs of these keys in their order; None where there is none (any more)."""
        keys = list(job_keys)
        found = await self._file.read(partial(self._table.by_key, keys=keys))
        return [found.get(key) for key in keys]

    async def iter_jobs(self, statuses: Sequence[Status] = tuple(Status), batch_size: int = 100) -> AsyncIterator[Job]:
        """Every job in one of these states, in the order of their keys."""
        wanted = [Status(status).value for status in statuses]
        last_key = ""
        while True:
            some = await self._file.read(
                partial(self._table.by_status, statuses=wanted, after_key=last_key, limit=batch_size)
            )
            for job in some:
                yield job
            if len(some) < batch_size:
                return
            last_key = some[-1].key

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
        entered = await self._file.write(partial(self._table.put_in, job=job, payload=self.serialize(job)))
        if not entered:
            return None
        self._ring()
        self._tell([job.key])
        logger.info("Enqueuing %s", job.info(logger.isEnabledFor(logging.DEBUG)))
        return job

    async def schedule(self, _lock: int = 1) -> list[str]:
        """Make ready what is due. No lock is needed: what is ready already is not made ready twice."""
        keys = await self._file.write_if(self._table.anything_to_take, self._table.make_ready)
        return [self.job_id(key) for key in keys or ()]

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
            # In line before looking: whoever puts a job in just after the look rings.
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                job = await self._take()
                if job is None:
                    self._start_watch(poll_s)
                    await waiter
                    continue
            except BaseException:
                self._leave_line(waiter)
                raise
            self._leave_line(waiter)
            return job

    def _leave_line(self, waiter: asyncio.Future[None]) -> None:
        """Wait no longer. Whoever was rung for and does not need it lets the next one have it."""
        if waiter.done() and not waiter.cancelled():
            self._ring()
            return
        with suppress(ValueError):  # who rings passes by those that were cancelled, and strikes them off
            self._waiters.remove(waiter)

    def _start_watch(self, poll_s: float) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._watch_for_others(poll_s))

    async def _take(self) -> TakenJob | None:
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
            job = await self._file.write_if(self._table.anything_to_take, self._table.take)
        except QueueUnavailable:
            # SAQ would ask again at once and say nothing.
            if self._available:
                logger.exception("The queue cannot be used")
            self._available = False
            await asyncio.sleep(PAUSE_WHEN_UNAVAILABLE_S)
            raise
        self._available = True
        if job is not None:
            self._tell([job.key])
        return job

    async def _put_back(self, job: TakenJob) -> None:
        """Undo a taking that nobody waits for any more: the job keeps its place."""
        await self._file.write(partial(self._table.put_back, job=job))
        self._ring()

    async def _watch_for_others(self, poll_s: float) -> None:
        """While somebody waits: see what other processes put in and what has become due."""
        while self._waiters:
            with suppress(QueueUnavailable):  # whoever takes next says so
                if await self._file.read(self._table.anything_to_take):
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
        work = partial(self._table.update, job=job, payload=payload, status=status, believed=job.status)
        if not await self._file.write(work):
            raise AttemptReplaced
        self._tell([job.key])

    async def _finish(
        self, job: Job, status: Status, *, result: Any = None, error: str | None = None, only_from: Status | None = None
    ) -> None:
        """End a job, unless it has ended or belongs to another attempt. `result` and `error` are in the job already."""
        payload = self.serialize(job)
        work = partial(self._table.finish, job=job, payload=payload, status=status, only_from=only_from)
        await self._file.write(work)
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
        work = partial(self._table.retry, job=job, payload=self.serialize(job), delay_s=job.next_retry_delay())
        await self._file.write(work)
        self._tell([job.key])
        self._ring()

    async def abort(self, job: Job, error: str, ttl: float = 5) -> None:
        """End a job that waits; tell one that runs to stop (its worker sees it within a second)."""
        stored = await self._file.write(partial(self._table.abort, key=job.key, error=error))
        if stored is None:
            return
        job.status, job.error, job.completed = stored.status, stored.error, stored.completed
        if stored.status is Status.ABORTED:
            self.aborted += 1
        self._tell([job.key])

    # Workers, and what becomes of the jobs of those that died

    async def write_worker_info(self, worker_id: str, info: WorkerInfo, ttl: int) -> None:
        self._own_workers.add(worker_id)
        await self._file.write(partial(self._table.report_worker, worker_id=worker_id, info=info, ttl_s=ttl))

    async def sweep(self, lock: int = 60, abort: float = 5.0) -> list[str]:
        """
        Remove what has expired; take jobs back from dead workers; stop and take back those that are stuck.

        A stuck job gets `abort` seconds to stop, all of them together. Each row is read again before it is taken back:
        whatever ended meanwhile stays as it ended. Two sweeps at once do no harm, so `lock` is not needed.
        """
        returned, stopping = await self._file.write(partial(self._table.begin_sweep, own_workers=self._own_workers))
        self._tell([*returned, *stopping])
        if stopping:
            await self._wait_until_stopped(stopping, abort)
            await self._file.write(partial(self._table.end_sweep, stopping=stopping))
            self._tell(stopping)
        if returned or stopping:
            self._ring(everybody=True)
            logger.info("Swept %s", [*returned, *stopping])
        return [self.job_id(key) for key in (*returned, *stopping)]

    async def _wait_until_stopped(self, stopping: dict[str, int], longest_s: float) -> None:
        running = set(stopping)

        def seen(key: str, status: Status) -> bool:
            if status is not Status.ABORTING:
                running.discard(key)
            return not running

        with suppress(asyncio.TimeoutError):
            await self.listen(stopping, seen, timeout=longest_s)

    def _read_job(self, payload: Any, status: Status | str) -> Job:
        job = self.deserialize(payload, status)
        if job is None:
            raise QueueUnavailable(f"The queue {self._file.path} holds an empty job.")
        return job

    # Who waits in this process

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


async def called(callback: ListenCallback, job: Job) -> Any:
    answer = callback(job.key, job.status)
    return await answer if iscoroutinefunction(callback) else answer
