"""The event loop that a process runs on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from sidecar.settings import Settings


def run(settings: Settings, doing: Coroutine[Any, Any, None]) -> None:
    """Do something from beginning to end, on a loop on which everything works that the settings ask for."""
    if sys.platform == "win32" and settings.queue_url.startswith("postgres"):
        # psycopg, which SAQ's queue speaks through, refuses the loop that Windows has by default.
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    asyncio.run(doing)
