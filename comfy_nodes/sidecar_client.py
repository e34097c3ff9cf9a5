"""
The few calls that the pack makes to the sidecar.

    SidecarAway        nobody answers, not in time, or not as the sidecar would
      SidecarSilent    not in time
      SidecarStranger  somebody else answers in its place
    SidecarRefused     the sidecar says no, with a sentence for people
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from .pairing import SIDECAR, Question, pairing_of
from .sidecar_proof import NotTheSidecar, SidecarProof, read_proven
from .wire import encode_json

log = logging.getLogger("genonaut.sidecar")

ANSWER_TIMEOUT_S = 5.0
REST_AFTER_SILENCE_S = 15.0
"""How long a sidecar that did not answer in time is not asked again, so that not everybody waits for it."""

REST_BETWEEN_QUESTIONS_S = 3.0
"""The same for questions about who somebody is, for which a page waits."""

PASSED_STATUSES = frozenset({401, 429, 503})
SAYS_NOTHING = frozenset({b"", b"null"})
SAYS_WHO = frozenset({401, 429})
"""Refusals that say something of the credentials, and not of the sidecar."""


class SidecarAway(Exception):
    """The sidecar does not answer."""


class SidecarSilent(SidecarAway):
    """It was waited for in vain, which costs whoever waits some seconds."""


class SidecarStranger(SidecarAway):
    """Somebody else answers in its place, and is told and believed nothing."""


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
        self._pairing = pairing_of(pairing_secret)
        self.proof = SidecarProof(url, self._pairing)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._breaker = Breaker()
        # Of their own: a submission may take long and say nothing of how quickly others are answered.
        self._breaker_of_questions = Breaker(REST_BETWEEN_QUESTIONS_S)
        self._session: aiohttp.ClientSession | None = None
        self._was_away = False

    async def submit(self, submission: dict[str, Any], *, forwarded_for: str | None = None) -> dict[str, Any]:
        """
        Hand over a prompt; it may be repeated with the same id.

        Args:
            forwarded_for: What a proxy in front of ComfyUI says of whom it speaks for.

        Raises:
            SidecarAway: Nobody can say whether it was taken.
            SidecarRefused: It was not.
        """
        headers = told_by_proxies(forwarded_for)
        accepted = await self._unless_silent(self._breaker, "POST", "/internal/prompts", submission, headers=headers)
        if "number" not in accepted:
            raise SidecarAway(f"What answers at {self.url} is not the sidecar.")
        return accepted

    async def access(self) -> str:
        """
        Ask who is let in: `open`, `accounts` or `proxy`.

        Raises:
            SidecarAway: Nobody says.
        """
        access = (await self._ask_about_access()).get("access")
        if not isinstance(access, str):
            raise SidecarAway(f"What answers at {self.url} is not the sidecar.")
        return access

    async def needs_first_administrator(self) -> bool:
        """
        Ask whether nobody can log in yet.

        Raises:
            SidecarAway: Nobody says.
        """
        return (await self._ask_about_access()).get("needs_first_administrator") is True

    async def _ask_about_access(self) -> dict[str, Any]:
        try:
            return await self._unless_silent(self._breaker_of_questions, "GET", "/internal/access")
        except SidecarRefused as exc:
            raise SidecarAway(f"The sidecar does not say who is let in: {exc}") from exc

    async def identify(self, question: dict[str, Any], *, forwarded_for: str | None = None) -> dict[str, Any]:
        """
        Ask whose credentials these are.

        Raises:
            SidecarAway: Nobody can say.
            SidecarRefused: Nobody's.
        """
        try:
            return await self._unless_silent(
                self._breaker_of_questions,
                "POST",
                "/internal/callers",
                question,
                headers=told_by_proxies(forwarded_for),
            )
        except SidecarRefused as exc:
            if exc.status in SAYS_WHO:
                raise
            raise SidecarAway(f"The sidecar cannot say who somebody is: {exc}") from exc

    async def owner_of_output(self, kind: str, subfolder: str, filename: str) -> str | None:
        """
        Ask whose recorded output that is; None: nobody's.

        Raises:
            SidecarAway: Nobody can say.
        """
        asked = urlencode({"type": kind, "subfolder": subfolder, "filename": filename}, errors="replace")
        try:
            told = await self._unless_silent(self._breaker_of_questions, "GET", f"/internal/outputs/owner?{asked}")
        except SidecarRefused as exc:
            if exc.code == "not_found":
                return None
            raise SidecarAway(f"The sidecar cannot say whose a file is: {exc}") from exc
        return str(told["owner_id"]) if told.get("owner_id") else None

    async def tell_refusals(self, refusals: list[dict[str, Any]], untold: int) -> None:
        """
        Have it written down who was refused here. No breaker hears of it: nobody waits for it.

        Raises:
            SidecarAway: It may not have heard.
            SidecarRefused: It does not write that down.
        """
        await self._ask("POST", "/internal/refusals", {"refusals": refusals, "untold": untold})

    async def cancel(self, generation_id: str, *, owner_id: str | None) -> None:
        """
        Cancel what the sidecar holds. How long that takes says nothing about submissions, so no breaker hears of it.

        Raises:
            SidecarAway: It may still be held.
            SidecarRefused: It has ended already, or is not known.
        """
        await self._ask("POST", f"/internal/prompts/{generation_id}/cancel", {"owner_id": owner_id})

    async def clear(self, *, owner_id: str | None, through: int | None, shown: Sequence[str]) -> tuple[int, bool]:
        """
        Cancel the first of all that the sidecar holds for somebody.

        Args:
            through: Up to which prompt, as told the last time; None at first: up to the latest one.
            shown: What the person saw waiting. It is cancelled also where it has been let go since.

        Returns:
            Up to which prompt, and whether more of them are left.

        Raises:
            SidecarAway: They may still be held.
            SidecarRefused: There is no such person any more.
        """
        body = {"owner_id": owner_id, "through": through, "shown": list(shown)}
        told = await self._ask("POST", "/internal/prompts/clear", body)
        return int(told["through"]), bool(told["more"])

    async def close(self) -> None:
        await self.proof.close()
        if self._session is not None:
            await self._session.close()

    async def _unless_silent(
        self,
        breaker: Breaker,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Any]:
        breaker.check()
        try:
            content = await self._ask(method, path, body, headers=headers)
        except SidecarSilent:
            breaker.kept_silent()
            raise
        except (SidecarAway, SidecarRefused):
            breaker.heard()  # a refused connection costs nothing, so there is no need to rest
            raise
        breaker.heard()
        return content

    async def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Any]:
        data = b"" if body is None else encode_json(body)
        question = self._pairing.ask(method, path, data, whom=SIDECAR)
        try:
            async with self._open_session().request(
                method,
                URL(self.url + path, encoded=True),  # as it was proven, to the letter
                data=data or None,
                headers={**question.headers, **headers},
                allow_redirects=False,
            ) as answer:
                content = await self._read(question, answer)
        except asyncio.TimeoutError as exc:
            raise SidecarSilent(self._away("it did not answer in time")) from exc
        except NotTheSidecar as exc:
            raise SidecarStranger(self._away(str(exc))) from exc
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

    async def _read(self, question: Question, answer: aiohttp.ClientResponse) -> dict[str, Any]:
        if await read_proven(question, answer) in SAYS_NOTHING and answer.ok:
            return {}
        try:
            content = await answer.json(content_type=None) if "json" in answer.content_type else None
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise aiohttp.ClientPayloadError(f"something answered {answer.status} there, and not as the sidecar does")
        return content

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
                trace_configs=[self.proof.tracing()],
            )
        return self._session

    def _away(self, reason: str) -> str:
        if not self._was_away:
            self._was_away = True
            log.warning("The sidecar at %s is away: %s.", self.url, reason)
        return reason


def told_by_proxies(forwarded_for: str | None) -> dict[str, str]:
    """Hand on what a proxy said of whom it speaks for; whether it is to be believed, the sidecar knows."""
    return {"X-Forwarded-For": forwarded_for} if forwarded_for else {}
