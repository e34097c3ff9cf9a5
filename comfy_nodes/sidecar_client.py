"""
The few calls that the pack makes to the sidecar.

    SidecarAway        nobody answers, not in time, or not as the sidecar would
      SidecarSilent    not in time
    SidecarRefused     the sidecar says no, with a sentence for people
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import aiohttp

from .wire import PAIRING_HEADER, encode_json

log = logging.getLogger("genonaut.sidecar")

ANSWER_TIMEOUT_S = 5.0
REST_AFTER_SILENCE_S = 15.0
"""How long a sidecar that did not answer in time is not asked again, so that not everybody waits for it."""

PASSED_STATUSES = frozenset({401, 429, 503})


class SidecarAway(Exception):
    """The sidecar does not answer."""


class SidecarSilent(SidecarAway):
    """It was waited for in vain, which costs whoever waits some seconds."""


class SidecarRefused(Exception):
    """The sidecar does not take this."""

    def __init__(self, status: int, code: str, detail: str, retry_after_s: float | None) -> None:
        super().__init__(detail)
        self.status = status if status in PASSED_STATUSES else 400
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


class Breaker:
    """Remembers silence: after a call that got no answer in time, one call at a time may try again, after a rest."""

    def __init__(self, rest_s: float = REST_AFTER_SILENCE_S) -> None:
        self._rest_s = rest_s
        self._silent_until: float | None = None

    def check(self) -> None:
        """
        May a call be made now?

        Raises:
            SidecarAway: It kept silent a moment ago, or another call is just finding out.
        """
        if self._silent_until is None:
            return
        if time.monotonic() < self._silent_until:
            raise SidecarAway("The sidecar did not answer a moment ago.")
        self._silent_until = time.monotonic() + self._rest_s

    def heard(self) -> None:
        self._silent_until = None

    def kept_silent(self) -> None:
        self._silent_until = time.monotonic() + self._rest_s


class SidecarClient:
    """Speaks HTTP to the sidecar. One a process, on ComfyUI's event loop; closed when that ends."""

    def __init__(self, url: str, pairing_secret: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self.url = url
        self._headers = {PAIRING_HEADER: pairing_secret, "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._breaker = Breaker()
        self._session: aiohttp.ClientSession | None = None
        self._was_away = False

    async def submit(self, submission: dict[str, Any]) -> dict[str, Any]:
        """
        Hand over a prompt; it may be repeated with the same id.

        Raises:
            SidecarAway: Nobody can say whether it was taken.
            SidecarRefused: It was not.
        """
        self._breaker.check()
        try:
            accepted = await self._post("/internal/prompts", submission)
        except SidecarSilent:
            self._breaker.kept_silent()
            raise
        except (SidecarAway, SidecarRefused):
            self._breaker.heard()  # a refused connection costs nothing, so there is no need to rest
            raise
        self._breaker.heard()
        if "number" not in accepted:
            raise SidecarAway(f"What answers at {self.url} is not the sidecar.")
        return accepted

    async def cancel(self, generation_id: str) -> None:
        """
        Cancel what the sidecar holds. How long that takes says nothing about submissions, so no breaker hears of it.

        Raises:
            SidecarAway: It may still be held.
            SidecarRefused: It has ended already, or is not known.
        """
        await self._post(f"/api/v1/generations/{generation_id}/cancel", {})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            async with self._open_session().post(self.url + path, data=encode_json(body)) as answer:
                content = await self._read(answer)
        except asyncio.TimeoutError as exc:
            raise SidecarSilent(self._away("it did not answer in time")) from exc
        except aiohttp.ClientError as exc:
            raise SidecarAway(self._away(str(exc))) from exc
        if self._was_away:
            self._was_away = False
            log.info("The sidecar at %s answers again.", self.url)
        if answer.ok:
            return content
        raise SidecarRefused(
            answer.status,
            str(content.get("code") or "refused"),
            str(content.get("detail") or content.get("title") or "Genonaut does not accept this prompt."),
            content.get("retry_after_s"),
        )

    async def _read(self, answer: aiohttp.ClientResponse) -> dict[str, Any]:
        try:
            content = await answer.json(content_type=None) if "json" in answer.content_type else None
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise aiohttp.ClientPayloadError(f"something answered {answer.status} there, and not as the sidecar does")
        return content

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        return self._session

    def _away(self, reason: str) -> str:
        if not self._was_away:
            self._was_away = True
            log.warning("The sidecar at %s is away: %s. Prompts run without it until it answers.", self.url, reason)
        return reason
