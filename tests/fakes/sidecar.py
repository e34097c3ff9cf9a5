"""
Stand-ins for the sidecar as the pack sees it, named for how they behave:

    PatientSidecar      takes every prompt, holds it, and dispatches it when told to
    SilentSidecar       takes the connection and never answers
    StrictSidecar       refuses every prompt with a quota
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from comfy_nodes.pairing import (
    ANSWER_HEADER,
    PAIRING_HEADER,
    SIDECAR,
    WHOEVER,
    Pairing,
    pairing_of,
    target_of,
)
from comfy_nodes.wire import INTRODUCTION, encode_json


class PairedSession:
    """Asks as the sidecar does: with a proof that it has the secret, of the process that answers there."""

    def __init__(self, pairing_secret: str) -> None:
        self._pairing = pairing_of(pairing_secret)
        self._session = aiohttp.ClientSession()

    @asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._session.get(url, headers=await self.headers("GET", url)) as answer:
            yield answer

    @asynccontextmanager
    async def post(self, url: str, *, json: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        body = encode_json(json)
        headers = {**await self.headers("POST", url, body), "Content-Type": "application/json"}
        async with self._session.post(url, data=body, headers=headers) as answer:
            yield answer

    async def ws_connect(self, url: str) -> aiohttp.ClientWebSocketResponse[bool]:
        return await self._session.ws_connect(url, headers=await self.headers("GET", url))

    async def close(self) -> None:
        await self._session.close()

    async def headers(self, method: str, url: str, body: bytes = b"") -> dict[str, str]:
        """Ask each time by which name it goes: tests start it anew as they like."""
        parts = urlsplit(url)
        introduction = self._pairing.ask("GET", INTRODUCTION, whom=WHOEVER).headers
        async with self._session.get(f"{parts.scheme}://{parts.netloc}{INTRODUCTION}", headers=introduction) as answer:
            process = (await answer.json())["process"]
        return self._pairing.ask(method, target_of(parts.path, parts.query), body, whom=process).headers


class PatientSidecar:
    """Holds what it is given until `dispatch`. Use as ``async with``."""

    def __init__(self, port: int, comfyui_url: str = "", pairing_secret: str = "paired") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.submissions: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.dispatched: list[str] = []
        self.comfyui_url = comfyui_url
        self._port = port
        self._pairing_secret = pairing_secret
        self._pairing = Pairing(pairing_secret)

    async def __aenter__(self) -> PatientSidecar:
        app = web.Application(client_max_size=64 * 1024**2)
        app.on_response_prepare.append(self._prove)
        app.router.add_get("/internal/pairing", self.show_pairing)
        app.router.add_post("/internal/prompts", self.take)
        app.router.add_post("/internal/prompts/{id}/cancel", self.take_back)
        app.router.add_post("/internal/prompts/clear", self.take_all_back)
        app.router.add_get("/api/v1/events", self.stream)
        app.router.add_route("*", "/{path:.*}", self.echo)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.session = PairedSession(self._pairing_secret)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()
        await self._runner.cleanup()

    async def _prove(self, request: web.Request, answer: web.StreamResponse) -> None:
        """As the sidecar proves what it answers to the pack."""
        shown = request.headers.get(PAIRING_HEADER)
        if shown is not None and isinstance(answer, web.Response):
            target = target_of(request.path, request.rel_url.raw_query_string)
            question = self._pairing.check(shown, request.method, target, names=(SIDECAR,))
            assert question.is_about(await request.read())
            assert isinstance(answer.body, bytes) or answer.body is None
            answer.headers[ANSWER_HEADER] = question.answer(answer.status, answer.body or b"")

    async def show_pairing(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.submissions.append(await request.json())
        body = {"id": self.submissions[-1]["id"], "number": len(self.submissions), "state": "pending"}
        return web.json_response(body, status=202)

    async def take_back(self, request: web.Request) -> web.StreamResponse:
        self.cancelled.append(request.match_info["id"])
        return web.json_response({"id": request.match_info["id"], "state": "cancelled"}, status=202)

    async def take_all_back(self, request: web.Request) -> web.StreamResponse:
        held = [submission["id"] for submission in self.submissions]
        self.cancelled += [each for each in held if each not in self.dispatched + self.cancelled]
        return web.json_response({"through": len(held), "more": False})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send two events with a pause in between that a buffering proxy would not let through."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"event: hello\ndata: {}\n\n")
        await asyncio.sleep(1)
        await answer.write(b"event: bye\ndata: {}\n\n")
        return answer

    async def echo(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        return web.json_response(
            {
                "method": request.method,
                "path": request.raw_path,
                "headers": dict(request.headers),
                "bytes": len(body),
            }
        )

    async def dispatch(self, submission: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.dispatched.append(submission["id"])
        body = {
            "prompt_id": submission["id"],
            "prompt": submission["workflow"],
            "extra_data": submission["extra_data"],
            "client_id": submission["client_id"],
        }
        async with self.session.post(f"{self.comfyui_url}/prompt", json=body) as answer:
            return answer.status, await answer.json()

    async def observe(self) -> aiohttp.ClientWebSocketResponse[bool]:
        return await self.session.ws_connect(f"{self.comfyui_url}/genonaut/observer")

    async def outcomes(self, after: int = 0) -> dict[str, Any]:
        async with self.session.get(f"{self.comfyui_url}/genonaut/outcomes?after={after}") as answer:
            found: dict[str, Any] = await answer.json()
        return found

    async def outcome_of(self, prompt_id: str, *, timeout_s: float = 20) -> dict[str, Any]:
        """Wait until the journal tells how this prompt ended."""
        for _ in range(int(timeout_s / 0.05)):
            for entry in (await self.outcomes())["entries"]:
                if entry["kind"] == "finished" and entry["prompt_id"] == prompt_id:
                    return dict(entry)
            await asyncio.sleep(0.05)
        raise AssertionError(f"Prompt {prompt_id} did not end: {json.dumps(await self.outcomes())[:2000]}")


class SilentSidecar(PatientSidecar):
    async def take(self, request: web.Request) -> web.StreamResponse:
        self.submissions.append(await request.json())
        await asyncio.sleep(3600)
        raise AssertionError


class StrictSidecar(PatientSidecar):
    async def take(self, request: web.Request) -> web.StreamResponse:
        body = {"title": "Quota", "status": 429, "code": "limit_reached", "detail": "You have used today's quota."}
        return web.json_response({**body, "retry_after_s": 60}, status=429, content_type="application/problem+json")
