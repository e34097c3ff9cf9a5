"""
Makes sure that it is the sidecar who answers at its address, before it is told anything.

Another program may have taken its port: before it was started, or in the moment in which it was started anew. That one
would be handed cookies and passwords, and be believed. So before each new connection a question is asked, on another
one, that only who has the pairing secret can answer; and every answer that the pack itself asked for is proven, too.
"""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
from enum import Enum
from types import SimpleNamespace
from typing import Any

import aiohttp

from .pairing import ANSWER_HEADER, SIDECAR, Pairing, Question

PROOF_PATH = "/internal/pairing"
WITHIN_S = 5.0
LOOK_WITHIN_S = 2.0

STRANGER = (
    "another program answers there, which does not prove that it is the sidecar of this ComfyUI, so nothing is "
    "entrusted to it. If it has taken the port, end it, or choose another one with GENONAUT_PORT; if it is a sidecar, "
    "give both the same GENONAUT_DATA or the same GENONAUT_PAIRING_SECRET"
)


class NotTheSidecar(aiohttp.ClientConnectionError):
    """Somebody else answers in its place."""

    def __init__(self) -> None:
        super().__init__(STRANGER)


class Answering(Enum):
    NOBODY = "nobody"
    SIDECAR = "sidecar"
    STRANGER = "stranger"


class SidecarProof:
    """Asks for it. One a process, on ComfyUI's event loop; closed when that ends."""

    def __init__(self, url: str, pairing: Pairing) -> None:
        self._url = url
        self._pairing = pairing
        self._session: aiohttp.ClientSession | None = None

    def tracing(self) -> aiohttp.TraceConfig:
        """What a session is given that shall open no connection without it."""
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_start.append(self._before_connection)
        return tracing

    async def require(self) -> None:
        """
        Raises:
            NotTheSidecar: Somebody else answers.
            aiohttp.ClientConnectionError: Nobody does, or it says why it cannot.
        """
        question = self._pairing.ask("GET", PROOF_PATH, whom=SIDECAR)
        try:
            async with self._open_session().get(
                self._url + PROOF_PATH, headers=question.headers, allow_redirects=False
            ) as answer:
                await read_proven(question, answer)
                if not answer.ok:
                    raise aiohttp.ClientConnectionError(str((await answer.json(content_type=None))["detail"]))
        except asyncio.TimeoutError as exc:
            raise aiohttp.ServerTimeoutError("it did not answer in time") from exc

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _before_connection(self, session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
        await self.require()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Never on a connection of before: one that was closing would speak for whoever has the port since then.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(total=WITHIN_S)
            )
        return self._session


async def read_proven(question: Question, answer: aiohttp.ClientResponse) -> bytes:
    """
    Read the answer to a question.

    Raises:
        NotTheSidecar: It is not the sidecar's.
    """
    body = await answer.read()
    if not question.is_answered_by(answer.headers.get(ANSWER_HEADER, ""), answer.status, body):
        raise NotTheSidecar
    return body


def who_answers(url: str, pairing: Pairing) -> Answering:
    """Find out without an event loop whether the sidecar answers. One that is only starting counts as well."""
    question = pairing.ask("GET", PROOF_PATH, whom=SIDECAR)
    asked = urllib.request.Request(url + PROOF_PATH, headers=question.headers)  # noqa: S310 - settings.py looks at it
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        try:
            answer = opener.open(asked, timeout=LOOK_WITHIN_S)
        except urllib.error.HTTPError as exc:
            answer = exc  # an error is an answer too
        with answer:
            shown = answer.headers.get(ANSWER_HEADER, "")
            is_proven = question.is_answered_by(shown, answer.status, answer.read())
    except http.client.HTTPException:
        return Answering.STRANGER  # what speaks no HTTP still has the port
    except OSError:
        return Answering.NOBODY
    return Answering.SIDECAR if is_proven else Answering.STRANGER
