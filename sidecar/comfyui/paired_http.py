"""
HTTP to a ComfyUI with the pack in it: everything that is asked is proven to it, and everything that it answers to us.

Another program may have taken its port. So before each new connection it is asked, on one of its own, by which name its
process is to be asked: who does not prove that it is the pack is given nothing, neither prompts nor questions that
would be of use elsewhere; and what was asked of one process is not asked of another one, or of the next at its address.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection

from sidecar.comfyui.http import TIMEOUT, ComfyUIHttp, read, translated
from sidecar.errors import ComfyUINotProven
from sidecar.pairing import ANSWER_HEADER, WHOEVER, Pairing, Question, target_of

INTRODUCTION = "/genonaut/pairing"
STREAMED = frozenset({"/view"})
BEFORE_CONNECTION = "connection.connect_tcp.started"  # httpcore's trace
MISDIRECTED = 421
SWITCHING_PROTOCOLS = 101


class Introduced(msgspec.Struct):
    """The pack's answer to the question how to address it."""

    process: str


class Renamed(Exception):
    """Another process answers there than before."""


class PairedHttp(ComfyUIHttp):
    """Asks the pack. Closed by whoever made it."""

    def __init__(self, url: str, pairing: Pairing, followed_at: Mapping[str, str] = MappingProxyType({})) -> None:
        """
        Args:
            followed_at: At which address each process of a ComfyUI is listened to.
        """
        super().__init__(url)
        self._followed_at = followed_at
        self._pairing = pairing
        self.process = ""
        """By which name the process that answers there goes."""
        no_old_connections = httpx.Limits(max_keepalive_connections=0)
        self._introductions = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT, trust_env=False, limits=no_old_connections
        )

    async def close(self) -> None:
        await self._introductions.aclose()
        await super().close()

    async def introduce(self) -> None:
        """
        Find out by which name to address it.

        Raises:
            ComfyUINotProven: It is not the pack that answers, or one that is listened to elsewhere: who has taken the
                port of one ComfyUI could pass on to another one what he is asked.
            ComfyUIAway: Nobody does.
        """
        question = self._pairing.ask("GET", INTRODUCTION, whom=WHOEVER)
        with translated():
            response = await self._introductions.get(INTRODUCTION, headers=question.headers)
        require_proof(question, response)
        process = read(response, Introduced).process
        known = self._followed_at.get(process, self.url)
        if known != self.url:
            raise ComfyUINotProven(
                f"What answers there is the ComfyUI that is followed at {known}, or passes on to it what it is asked. "
                "Nothing is given to it. If it is the same one, remove one of the two instances."
            )
        self.process = process

    async def question(self, method: str, target: str, body: bytes = b"") -> Question:
        """Something to ask of the process that answers there."""
        if not self.process:
            await self.introduce()
        return self._pairing.ask(method, target, body, whom=self.process)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        request.extensions["trace"] = self._before_connection
        try:
            response = await self._send_proven(request)
        except Renamed:
            return await self._send_proven(request)
        if response.status_code == MISDIRECTED:  # it was not done there
            await self.introduce()
            return await self._send_proven(request)
        return response

    async def _send_proven(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(self._base_path)
        question = await self.question(request.method, target_of(path, request.url.query.decode()), request.content)
        request.headers.update(question.headers)
        response = await super()._send(request)
        require_proof(question, response, a_beginning_will_do=path in STREAMED)
        return response

    async def _before_connection(self, event: str, _info: dict[str, Any]) -> None:
        if event == BEFORE_CONNECTION:
            before = self.process
            await self.introduce()
            if self.process != before:
                raise Renamed


def require_proof(question: Question, response: httpx.Response, *, a_beginning_will_do: bool = False) -> None:
    """
    Raises:
        ComfyUINotProven: Somebody else answers.
    """
    shown, status = response.headers.get(ANSWER_HEADER, ""), response.status_code
    if not question.is_answered_by(shown, status, response.content, a_beginning_will_do=a_beginning_will_do):
        raise ComfyUINotProven.with_status(status)


def require_proof_of_socket(question: Question, connection: ClientConnection) -> None:
    """
    Raises:
        ComfyUINotProven: Somebody else has opened it.
    """
    shown = connection.response.headers.get(ANSWER_HEADER, "") if connection.response else ""
    if not question.is_answered_by(shown, SWITCHING_PROTOCOLS, b"", a_beginning_will_do=True):
        raise ComfyUINotProven
