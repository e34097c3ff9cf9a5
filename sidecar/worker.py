"""
Which jobs there are, and on which clock.

Each is thin, has its own limit of time, and may run twice or be killed between any two lines: it looks at what the
database says and does what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saq import CronJob

from sidecar.accounts.desk import Accounts
from sidecar.catalog.discovery import Discovery
from sidecar.gallery.intake import Intake
from sidecar.generations.collecting import Collecting
from sidecar.generations.idempotency import RememberedKeys
from sidecar.generations.queueing import DISPATCH, KEEP_IMAGES, RELEASE
from sidecar.generations.releasing import Releasing
from sidecar.generations.sweeper import Sweeper
from sidecar.generations.tending import Tending
from sidecar.generations.timeouts import Timeouts
from sidecar.generations.trash import Trash
from sidecar.limits.overrides import Overrides
from sidecar.limits.persons import OldSalts
from sidecar.queues.choose import WorkQueue
from sidecar.queues.embedded import EmbeddedWorker, Function, cron_job

TURNS = "turns"
TURNS_AT_ONCE = 4  # few are enough: most of them only wake somebody
IMAGES = "images"
IMAGES_AT_ONCE = 2  # a large picture takes hundreds of megabytes while it is read

EVERY_MINUTE = "* * * * *"
EVERY_MINUTE_BETWEEN = "* * * * * 30"  # six fields: the last one counts seconds
EVERY_HOUR = "17 * * * *"  # not at the full hour, when everybody's clockwork does something
EVERY_TEN_SECONDS = "* * * * * */10"

A_MINUTE_S = 60
TEN_MINUTES_S = 600


def turns_worker(
    queue: WorkQueue, wake: Callable[[], None], releasing: Releasing, clockwork: list[CronJob[Any]]
) -> EmbeddedWorker:
    """Works off what somebody's turn depends on, and the clockwork."""

    async def dispatch_generation(_context: Any, *, generation_id: str) -> None:
        """`generation_id` names why it was enqueued; whose turn it is, the database says."""
        del generation_id
        wake()

    jobs: list[tuple[str, Function]] = [(DISPATCH, dispatch_generation), (RELEASE, releasing.release_held)]
    return EmbeddedWorker(queue, jobs, cron_jobs=clockwork, concurrency=TURNS_AT_ONCE)


def images_worker(queue: WorkQueue, intake: Intake) -> EmbeddedWorker:
    """Works off the images that are not in our store yet."""
    return EmbeddedWorker(queue, [(KEEP_IMAGES, intake.keep_images)], concurrency=IMAGES_AT_ONCE)


def clockwork(
    sweeper: Sweeper,
    tending: Tending,
    collecting: Collecting,
    timeouts: Timeouts,
    trash: Trash,
    keys: RememberedKeys,
    discovery: Discovery,
    accounts: Accounts,
    overrides: Overrides,
    salts: OldSalts,
) -> list[CronJob[Any]]:
    """What happens by itself."""
    return [
        cron_job(sweeper.sweep_generations, EVERY_TEN_SECONDS, timeout_s=A_MINUTE_S),
        cron_job(tending.tend_instances, EVERY_TEN_SECONDS, timeout_s=A_MINUTE_S),
        cron_job(collecting.collect_outcomes, EVERY_MINUTE_BETWEEN, timeout_s=A_MINUTE_S),
        cron_job(timeouts.end_overdue, EVERY_MINUTE, timeout_s=A_MINUTE_S),
        cron_job(sweeper.sweep_tokens, EVERY_HOUR, timeout_s=TEN_MINUTES_S),
        cron_job(sweeper.forget_shares, EVERY_HOUR, timeout_s=A_MINUTE_S),
        cron_job(trash.purge, EVERY_HOUR, timeout_s=TEN_MINUTES_S),
        cron_job(keys.forget_old, EVERY_HOUR, timeout_s=A_MINUTE_S),
        cron_job(accounts.sessions.forget_ended, EVERY_HOUR, timeout_s=A_MINUTE_S),
        cron_job(accounts.invites.forget_old, EVERY_HOUR, timeout_s=A_MINUTE_S),
        cron_job(accounts.throttle.forget_old, EVERY_HOUR, timeout_s=A_MINUTE_S),
        cron_job(overrides.forget_old, EVERY_HOUR, timeout_s=A_MINUTE_S),
        cron_job(salts.forget_old, EVERY_HOUR, timeout_s=A_MINUTE_S),
        cron_job(discovery.refresh_models, EVERY_HOUR, timeout_s=TEN_MINUTES_S),
    ]
