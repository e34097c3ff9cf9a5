"""What holds for a job, from being put in to being gone. SAQ's own rules are in `test_saq_suite.py`."""

from __future__ import annotations

import asyncio
import time

import pytest
from integration.backends import only_embedded
from saq.job import Job, Status
from saq.utils import now

from sidecar.errors import AttemptReplaced, QueueUnavailable
from sidecar.queues.sqlite import SqliteQueue

pytestmark = only_embedded("it is about the queue in a file")

ABORT_WITHIN_S = 1.0


async def taken(queue: SqliteQueue) -> Job:
    """Take the next job and begin it, as SAQ's worker does."""
    job = await queue.dequeue(timeout=30)
    assert job is not None
    job.attempts += 1
    await job.update(status=Status.ACTIVE)
    return job


async def status_of(queue: SqliteQueue, key: str) -> Status:
    job = await queue.job(key)
    assert job is not None
    return job.status


async def test_jobs_come_out_in_the_order_in_which_they_went_in(queue):
    """
    First in, first out, unless a job is more urgent (a lower priority).
    """
    for key in ("first", "second"):
        await queue.enqueue("f", key=key)
    await queue.enqueue("f", key="urgent", priority=-1)

    assert [(await taken(queue)).key for _ in range(3)] == ["urgent", "first", "second"]


async def test_a_job_is_put_in_once_while_it_is_open_and_anew_when_it_has_ended(queue):
    """
    A key stands for one piece of work: putting it in again while it waits or runs changes nothing.
    """
    assert await queue.enqueue("f", key="a")
    assert await queue.enqueue("f", key="a") is None
    job = await taken(queue)
    assert await queue.enqueue("f", key="a") is None
    await job.finish(Status.COMPLETE)

    assert await queue.enqueue("f", key="a")
    assert await queue.count("queued") == 1


async def test_a_cron_job_runs_once_for_each_moment(queue):
    """
    SAQ names the next moment a little before it puts the job in; a job that ran in between does not run again.
    """
    moment = int(time.time())
    await queue.enqueue("f", key="cron:f", scheduled=moment)
    await (await taken(queue)).finish(Status.COMPLETE)

    assert await queue.enqueue("f", key="cron:f", scheduled=moment) is None
    assert await queue.enqueue("f", key="cron:f", scheduled=moment + 1)


async def test_a_scheduled_job_waits_for_its_moment_and_no_longer(queue):
    """
    Whoever waits for a job gets a scheduled one when its moment comes, without anybody calling `schedule`.
    """
    moment = int(time.time()) + 2
    await queue.enqueue("f", scheduled=moment)
    assert await queue.count("queued") == 0

    job = await queue.dequeue(timeout=30)

    assert job is not None
    assert moment <= time.time() < moment + 1


async def test_one_job_of_a_group_runs_at_a_time(queue):
    """
    Others of its group wait until it has ended; jobs of no group pass them.
    """
    for key in ("a1", "a2"):
        await queue.enqueue("f", key=key, group_key="a")
    await queue.enqueue("f", key="free")
    first = await taken(queue)
    assert (await taken(queue)).key == "free"
    assert await queue.dequeue(timeout=0.05) is None

    await first.finish(Status.COMPLETE)

    assert (await taken(queue)).key == "a2"


async def test_who_stops_waiting_takes_no_job_along(queue):
    """
    A waiting worker that is cancelled at the very moment at which a job arrives leaves the job in the queue.
    """
    for number in range(60):
        waiting = asyncio.create_task(queue.dequeue())
        await asyncio.sleep(0.001)
        await queue.enqueue("f", key=str(number))
        await asyncio.sleep(0.0002 * (number % 6))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        job = await queue.dequeue(timeout=30) if waiting.cancelled() else waiting.result()
        assert job is not None
        assert job.key == str(number)
        await job.finish(Status.COMPLETE)


async def test_who_is_rung_for_while_being_cancelled_is_cancelled(queue):
    """
    A job comes between the cancellation and the moment at which the one who waited notices.
    """
    waiting = asyncio.create_task(queue.dequeue())
    await asyncio.sleep(0.05)
    waiting.cancel()
    queue._ring()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_job_that_another_process_put_in_is_seen(queue, new_queue):
    """
    Between processes nobody rings: who waits looks by himself.
    """
    other = await new_queue()
    waiting = asyncio.create_task(queue.dequeue(timeout=30))
    await asyncio.sleep(0.1)
    await other.enqueue("f", key="from elsewhere")

    job = await waiting

    assert job is not None


async def test_a_failed_job_is_tried_again_after_its_delay(queue):
    """
    The try after a failure is due when its delay is over, and the job says why it failed.
    """
    await queue.enqueue("f", key="a", retries=2, retry_delay=1)
    job = await taken(queue)
    await job.retry("it broke")
    assert await queue.dequeue(timeout=0.1) is None

    again = await taken(queue)

    assert (again.key, again.error, again.attempts) == ("a", "it broke", 2)


async def test_a_replaced_attempt_learns_so_and_changes_nothing(queue, new_queue):
    """
    An attempt that was thought dead must stop at its next heartbeat, and must not end another attempt's job.
    """
    await queue.enqueue("f", key="a", retries=3)
    thought_dead = await taken(queue)
    await queue.retry(await queue.job("a"), "swept")
    replacement = await taken(await new_queue())

    with pytest.raises(AttemptReplaced):
        await thought_dead.update()
    await thought_dead.finish(Status.FAILED, error="too late")
    await thought_dead.retry("too late")

    assert await status_of(queue, "a") is Status.ACTIVE
    await replacement.finish(Status.COMPLETE, result=1)
    assert await status_of(queue, "a") is Status.COMPLETE


async def test_work_that_is_done_counts_even_if_it_was_queued_again(queue):
    """
    An attempt that ends well while its job waits for the next try makes that try needless.
    """
    await queue.enqueue("f", key="a", retries=3)
    slow = await taken(queue)
    await queue.retry(await queue.job("a"), "swept")

    await slow.finish(Status.COMPLETE)

    assert await queue.dequeue(timeout=0.05) is None


async def test_a_heartbeat_does_not_take_back_an_abort(queue):
    """
    Between the wish to stop and the stop, the job may report itself as often as it likes.
    """
    await queue.enqueue("f", key="a", retries=3)
    job = await taken(queue)
    await queue.abort(await queue.job("a"), "not needed any more")

    await job.update(progress=0.5)
    await job.update(status=Status.ACTIVE)

    stored = await queue.job("a")
    assert (stored.status, stored.error) == (Status.ABORTING, "not needed any more")


async def test_a_job_that_somebody_aborted_is_not_tried_again(queue):
    """
    A worker that stops gives its jobs back; one that should end anyway ends.
    """
    await queue.enqueue("f", key="a", retries=3)
    job = await taken(queue)
    await queue.abort(await queue.job("a"), "not needed any more")

    await job.retry("cancelled")

    stored = await queue.job("a")
    assert (stored.status, stored.error) == (Status.ABORTED, "not needed any more")


@pytest.mark.parametrize("scheduled", [0, 4_000_000_000])
async def test_a_job_that_waits_is_aborted_at_once(queue, scheduled):
    """
    Nobody works on it, so nobody has to be asked; scheduled ones are no exception.
    """
    job = await queue.enqueue("f", key="a", scheduled=scheduled)

    await job.abort("not needed any more")

    assert await status_of(queue, "a") is Status.ABORTED
    assert await queue.count("incomplete") == 0


async def test_aborting_what_has_ended_changes_nothing(queue):
    """
    A completed job stays completed.
    """
    await queue.enqueue("f", key="a")
    job = await taken(queue)
    await job.finish(Status.COMPLETE)

    await queue.abort(await queue.job("a"), "too late")

    assert await status_of(queue, "a") is Status.COMPLETE


async def test_the_sweep_does_not_run_a_job_again_that_ended_while_it_waited(queue):
    """
    SAQ's other queues judge by an old look and run such a job once more.
    """
    await queue.enqueue("f", key="a", timeout=1, retries=3)
    job = await taken(queue)
    await job.update(started=now() - 5000)
    sweeping = asyncio.create_task(queue.sweep(abort=2))
    await asyncio.sleep(0.1)
    assert await status_of(queue, "a") is Status.ABORTING

    await job.finish(Status.COMPLETE, result=1)
    await sweeping

    assert await status_of(queue, "a") is Status.COMPLETE
    assert await queue.dequeue(timeout=0.05) is None


async def test_the_sweep_waits_for_all_stuck_jobs_together(queue):
    """
    Ten jobs that do not stop cost one waiting time, not ten; then each is queued again or, without a try left, ended.
    """
    for number in range(10):
        await queue.enqueue("f", key=str(number), timeout=1, retries=2 if number else 1)
        await (await taken(queue)).update(started=now() - 5000)

    began = time.monotonic()
    swept = await queue.sweep(abort=ABORT_WITHIN_S)

    assert time.monotonic() - began < 5 * ABORT_WITHIN_S
    assert len(swept) == 10
    assert await status_of(queue, "0") is Status.ABORTED
    assert await queue.count("queued") == 9


async def test_a_job_stopped_by_the_sweep_is_tried_again_even_if_the_sweep_died(queue):
    """
    The worker that obeys the sweep puts the job back itself: nobody has to live on for that.
    """
    await queue.enqueue("f", key="a", timeout=1, retries=2)
    job = await taken(queue)
    await job.update(started=now() - 5000)
    sweeping = asyncio.create_task(queue.sweep(abort=60))
    await asyncio.sleep(0.1)
    sweeping.cancel()

    await job.finish(Status.ABORTED, error="swept")

    assert await status_of(queue, "a") is Status.QUEUED


async def test_the_jobs_of_a_dead_worker_are_taken_back(queue, monkeypatch):
    """
    Even without timeout and heartbeat: its worker has not reported itself for too long.
    """
    monkeypatch.setattr("sidecar.queues.sqlite_jobs.DEAD_AFTER_S", 0.1)
    await queue.enqueue("f", key="a", timeout=0, heartbeat=0, retries=2)
    await (await taken(queue)).update(worker_id="dead")
    assert await queue.sweep() == []
    await asyncio.sleep(0.2)

    assert await queue.sweep() == [queue.job_id("a")]

    assert (await taken(queue)).key == "a"


async def test_the_jobs_of_a_worker_that_lives_stay_with_it(queue, new_queue, monkeypatch):
    """
    However long a job says nothing: if it has no heartbeat and its worker reports itself, nobody takes it away.
    """
    monkeypatch.setattr("sidecar.queues.sqlite_jobs.DEAD_AFTER_S", 0.1)
    await queue.enqueue("f", key="a", timeout=0, heartbeat=0)
    await (await taken(queue)).update(worker_id="alive")
    await queue.worker_info("alive", queue.name, ttl=60)
    await asyncio.sleep(0.2)

    assert await (await new_queue()).sweep() == []


async def test_an_ended_job_is_known_for_its_ttl(queue):
    """
    Above zero: so many seconds, then unseen and removed by the sweep. Zero: for ever. Below: not at all.
    """
    for key, ttl in (("second", 1), ("for ever", 0), ("not at all", -1)):
        await queue.enqueue("f", key=key, ttl=ttl)
        await (await taken(queue)).finish(Status.COMPLETE)
    assert [job is not None for job in await queue.jobs(["second", "for ever", "not at all"])] == [True, True, False]
    await asyncio.sleep(1.1)

    assert await queue.job("second") is None
    await queue.sweep()
    assert [job.key async for job in queue.iter_jobs()] == ["for ever"]


async def test_who_waits_for_a_job_is_told_of_its_end(queue):
    """
    Without asking again and again, and without waiting for its time to be over.
    """
    job = await queue.enqueue("f")
    running = await taken(queue)
    waiting = asyncio.create_task(job.refresh(until_complete=3600))
    await asyncio.sleep(0.1)

    await running.finish(Status.COMPLETE, result="done")
    await waiting

    assert job.result == "done"


async def test_the_info_names_what_runs_and_what_comes_next(queue):
    """
    For an operator's page: counts, workers that live, and the first jobs in the order in which they run.
    """
    await queue.enqueue("f", key="later", scheduled=4_000_000_000)
    for key in ("runs", "next"):
        await queue.enqueue("f", key=key)
    await taken(queue)
    await queue.worker_info("w", queue.name, metadata={"host": "here"}, ttl=60)

    info = await queue.info(jobs=True)

    assert (info["queued"], info["active"], info["scheduled"]) == (1, 1, 1)
    assert [job["key"] for job in info["jobs"]] == ["runs", "next", "later"]
    assert info["workers"]["w"]["metadata"] == {"host": "here"}


async def test_a_full_disk_is_said_and_nothing_is_half_written(queue):
    """
    Everything that was in the queue is still there, and it works again as soon as there is room.
    """
    await queue.enqueue("f", key="before")
    (most,) = await queue._file.read(lambda connection: connection.execute("PRAGMA max_page_count=12").fetchone())
    with pytest.raises(QueueUnavailable, match="is full"):
        await asyncio.gather(*(queue.enqueue("f", key=str(number), text="x" * 2000) for number in range(100)))
    before = await queue.count("queued")

    await queue._file.read(lambda connection: connection.execute("PRAGMA max_page_count=100000").fetchone())

    assert most == 12
    assert await queue.enqueue("f", key="after")
    assert await queue.count("queued") == before + 1
    assert (await taken(queue)).key == "before"


async def test_a_damaged_file_is_said_with_what_to_do(file):
    """
    Whoever reads the sentence knows the file and the next step.
    """
    file.write_bytes(b"no database" * 1000)
    queue = SqliteQueue(file)

    with pytest.raises(QueueUnavailable, match=r"queue\.sqlite3 is damaged .* move the file away"):
        await queue.connect()
    await queue.disconnect()


async def test_a_folder_that_is_not_there_is_said(tmp_path):
    """
    The queue makes its file, never a folder.
    """
    queue = SqliteQueue(tmp_path / "nowhere" / "queue.sqlite3")

    with pytest.raises(QueueUnavailable, match="must exist and be writable"):
        await queue.connect()
    await queue.disconnect()


async def test_a_file_of_a_newer_genonaut_is_left_alone(queue, file):
    """
    After a step back to an older version, nothing is misread.
    """
    await queue._file.read(lambda connection: connection.execute("PRAGMA user_version=99"))
    older = SqliteQueue(file)

    with pytest.raises(QueueUnavailable, match="newer Genonaut"):
        await older.connect()
    await older.disconnect()
