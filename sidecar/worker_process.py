"""
`genonaut worker`: a process that works off jobs and has no HTTP.

Any number of them, on any number of machines, beside any number of servers; each job is worked off by one of them. One
of all processes that work, servers included, drives the ComfyUIs.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import structlog

from sidecar.errors import SettingsUnusable
from sidecar.parts import Parts
from sidecar.running import running
from sidecar.settings import Settings

log = structlog.get_logger(__name__)


def check_settings(settings: Settings) -> None:
    """
    Raises:
        SettingsUnusable: No other process can be there beside this one.
    """
    if settings.is_alone:
        raise SettingsUnusable(
            "Several processes need a database that they share, and here it is a SQLite file. Set "
            "GENONAUT_DATABASE_URL to a PostgreSQL, or run `genonaut serve` alone with GENONAUT_WORKER=embedded: "
            "then it does all the work."
        )


async def work(parts: Parts) -> None:
    """Work until told to stop; then end what runs or give it back."""
    told = asyncio.Event()
    hear_signals(told.set)
    async with running(parts, works=True):
        log.info("worker_ready")
        await told.wait()
        log.info("worker_stops")


def hear_signals(stop: Callable[[], None]) -> None:
    """Ctrl-C, and whatever asks a service to end."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":  # where an event loop hears no signals
        for number in (signal.SIGINT, signal.SIGBREAK):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
    else:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
