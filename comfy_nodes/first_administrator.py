"""Says in ComfyUI's log, which people look at, how to come into a ComfyUI in which nobody has an account yet."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from .settings import ACCOUNTS
from .sidecar_client import SidecarAway, SidecarClient

log = logging.getLogger("genonaut")


class Reminder:
    """Asks each time the sidecar has come, and reminds while there is no administrator. One a process."""

    def __init__(self, server: Any, sidecar: SidecarClient, log_file: Path | None) -> None:
        self._server = server
        self._sidecar = sidecar
        self._where = log_file or "the sidecar's log"
        self._asking: asyncio.Task[None] | None = None

    def access_told(self, access: str | None) -> None:
        if access == ACCOUNTS:
            self._asking = self._server.loop.create_task(self._ask())

    async def _ask(self) -> None:
        try:
            if not await self._sidecar.needs_first_administrator():
                return
        except SidecarAway:
            return  # it is asked again when it is back
        log.warning(
            "Nobody can log in to this ComfyUI yet. The link with which you become its first administrator stands in "
            "%s.",
            self._where,
        )
