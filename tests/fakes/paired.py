"""
Asking as one of the two that have the pairing secret:

    AsPack                  the sidecar, through httpx (`auth=`)
    AsSidecar               a pack, in the same way
    as_sidecar(...)         a pack that runs in this very process: the headers of one request
    QuestionsOfSidecar      what a stand-in for the pack was asked, and its proven answers (a guard of Litestar)
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

import comfy_nodes.pairing
from sidecar.accounts.paired import QUESTION
from sidecar.comfyui.paired_http import INTRODUCTION
from sidecar.pairing import ANSWER_HEADER, PAIRING_HEADER, SIDECAR, WHOEVER, Pairing, pairing_of, target_of


class AsPack(httpx.Auth):
    """Whatever is answered must be proven, too."""

    requires_request_body = requires_response_body = True

    def __init__(self, secret: str) -> None:
        self._pairing = pairing_of(secret)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        target = target_of(request.url.path, request.url.query.decode())
        question = self._pairing.ask(request.method, target, request.content, whom=SIDECAR)
        request.headers.update(question.headers)
        response = yield request
        shown = response.headers.get(ANSWER_HEADER, "")
        assert question.is_answered_by(shown, response.status_code, response.content), "the answer is not proven"


class AsSidecar(httpx.Auth):
    requires_request_body = requires_response_body = True

    def __init__(self, secret: str) -> None:
        self._pairing = pairing_of(secret)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        question = self._pairing.ask("GET", INTRODUCTION, whom=WHOEVER)
        introduced = yield httpx.Request("GET", request.url.join(INTRODUCTION), headers=question.headers)
        target = target_of(request.url.path, request.url.query.decode())
        process = introduced.json()["process"]
        request.headers.update(self._pairing.ask(request.method, target, request.content, whom=process).headers)
        yield request


def as_sidecar(method: str, target: str, body: bytes = b"", *, secret: str = "paired") -> dict[str, str]:
    pairing = comfy_nodes.pairing.pairing_of(secret)
    return pairing.ask(method, target, body, whom=pairing.process).headers


class QuestionsOfSidecar:
    """Checks what is asked with a proof; of what is asked without one, each route sees for itself."""

    def __init__(self, secret: str) -> None:
        self.pairing = Pairing(secret)
        self.heard: list[str] = []
        """Method and target of each."""

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        shown, scope = connection.headers.get(PAIRING_HEADER), connection.scope
        if shown is not None:
            target = target_of(scope["path"], scope["query_string"].decode())
            method = str(scope.get("method", "GET"))  # a websocket has none
            self.heard.append(f"{method} {target}")
            scope["state"][QUESTION] = self.pairing.check(shown, method, target, names=(WHOEVER,))
