"""How a process of the sidecar starts and stops, with HTTP or without, and what the one does that drives ComfyUI."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from sidecar import __version__
from sidecar.cluster.bus import GAP
from sidecar.instances import registry
from sidecar.migrations import upgrade
from sidecar.parts import Parts
from sidecar.queues.embedded import EmbeddedWorker
from sidecar.settings import Access
from sidecar.tasks import end, until_one_ends

STOP_GRACE_S = 3.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def running(parts: Parts, *, works: bool = True) -> AsyncIterator[None]:
    """
    Start everything in the order in which it is needed; stop it in reverse.

    Args:
        works: Work off jobs and, while this process leads, drive ComfyUI; else leave that to other processes.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(parts.database.close)
        await upgrade(parts.database.engine)
        await parts.plans.require_those_of_settings()
        stack.push_async_callback(parts.instances.close)
        if parts.moderation is not None:
            stack.push_async_callback(parts.moderation.close)
        # Where nobody else can lead, or at the first start of all: the instances are there as soon as it is ready.
        if not parts.database.is_shared or (works and not await parts.instances.all()):
            await parts.instance_desk.keep_configured(parts.settings.comfyui_urls)
        stack.push_async_callback(parts.places.close)
        await parts.catalog.load()
        stack.push_async_callback(stopped, asyncio.create_task(parts.catalog.stay_true()))
        stack.push_async_callback(stopped, asyncio.create_task(parts.plans.stay_true()))
        stack.push_async_callback(stopped, asyncio.create_task(parts.quota_telling.run()))
        stack.push_async_callback(stopped, asyncio.create_task(parts.waiting_telling.run()))
        if parts.settings.access is not Access.OPEN:
            stack.push_async_callback(stopped, asyncio.create_task(parts.accounts.changes.stay_true()))
        stack.push_async_callback(stopped, asyncio.create_task(parts.discovery.run()))
        for queue in parts.queues:
            await queue.connect()
            stack.push_async_callback(queue.disconnect)
        stack.push_async_callback(stopped, asyncio.create_task(parts.bus.run()))
        if works:
            stack.push_async_callback(stop_workers, parts.workers)
            for each in parts.workers:
                await each.start()
            leading = parts.leadership.lead(partial(drive, parts))
            stack.push_async_callback(stopped, asyncio.create_task(leading))
        log.info("sidecar_ready", version=__version__, comfyui=parts.settings.comfyui_urls)
        yield


async def drive(parts: Parts) -> None:
    """
    What one process does for all: follow every ComfyUI, and send it what is next.

    Its own setting says which ones: that of a process which drives nothing, such as a server beside workers, is perhaps
    not even set. A process that is alone has seen to that when it started.
    """
    if parts.database.is_shared:
        await parts.instance_desk.keep_configured(parts.settings.comfyui_urls)
    parts.live_events.start_anew()  # whoever led before may have died before it told what it had done
    parts.bus.tell(GAP)
    async with parts.leadership.writing() as session:
        await registry.nobody_is_met_yet(session)
    parts.dispatcher.wake()
    doings = (parts.following, parts.dispatcher, parts.moving_up, parts.interruptions)
    await until_one_ends(*(doing.run() for doing in doings))


async def stop_workers(workers: Iterable[EmbeddedWorker]) -> None:
    """Running jobs end, or go back to their queue; all workers have the same grace."""
    await asyncio.gather(*(each.stop(STOP_GRACE_S) for each in workers))


async def stopped(task: asyncio.Task[None]) -> None:
    await end(task)
    with contextlib.suppress(asyncio.CancelledError):
        task.result()
