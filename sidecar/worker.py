"""Which jobs there are, and on which clock."""

from __future__ import annotations

from typing import Any

from saq import CronJob

from sidecar.catalog.discovery import Discovery
from sidecar.gallery.intake import Intake
from sidecar.generations.dispatcher import Dispatcher
from sidecar.generations.idempotency import RememberedKeys
from sidecar.generations.queueing import DISPATCH, KEEP_IMAGES
from sidecar.generations.sweeper import Sweeper
from sidecar.generations.tending import Tending
from sidecar.generations.timeouts import Timeouts
from sidecar.generations.trash import Trash
from sidecar.queues.embedded import cron_job

CONCURRENCY = 4  # jobs at once: few are enough, for dispatching takes turns and only two images are read at a time

EVERY_MINUTE = "* * * * *"
EVERY_HOUR = "17 * * * *"  # not at the full hour, when everybody's clockwork does something
EVERY_TEN_SECONDS = "* * * * * */10"  # six fields: the last one counts seconds


def jobs(dispatcher: Dispatcher, intake: Intake) -> list[tuple[str, Any]]:
    """What tokens may ask for, by the name they carry."""
    return [(DISPATCH, dispatcher.dispatch_generation), (KEEP_IMAGES, intake.keep_images)]


def clockwork(
    sweeper: Sweeper, tending: Tending, timeouts: Timeouts, trash: Trash, keys: RememberedKeys, discovery: Discovery
) -> list[CronJob[Any]]:
    """What happens by itself."""
    return [
        cron_job(sweeper.sweep_generations, EVERY_TEN_SECONDS),
        cron_job(tending.tend_instances, EVERY_TEN_SECONDS),
        cron_job(timeouts.end_overdue, EVERY_MINUTE),
        cron_job(trash.purge, EVERY_HOUR),
        cron_job(keys.forget_old, EVERY_HOUR),
        cron_job(discovery.refresh_models, EVERY_HOUR),
    ]
