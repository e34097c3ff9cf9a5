"""Services that are asked what they think of a text, by how they behave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from anyio.from_thread import start_blocking_portal

SECRET = f"whsec_{base64.b64encode(b'a key that has 32 bytes in total').decode()}"


class ModerationService:
    """Thinks of each text what its first word says, and believes only whoever has signed."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.ids: set[str] = set()
        self.at_once = self.most_at_once = 0

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/moderate", self.receive)
        async with TestServer(app) as server:
            yield str(server.make_url("/moderate"))

    @contextmanager
    def served_apart(self) -> Iterator[str]:
        """In a thread of its own, for whoever asks while the test itself waits."""
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(self.served()) as url:
            yield url

    async def receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if not self.is_signed(request, body):
            return web.Response(status=401)
        self.ids.add(request.headers["webhook-id"])
        self.asked.append(await request.json())
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            return await self.answer(request)
        finally:
            self.at_once -= 1

    def is_signed(self, request: web.Request, body: bytes) -> bool:
        """As the specification has it, in other words than ours."""
        message_id, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        key = base64.b64decode(SECRET.split("_", 1)[1])
        proof = hmac.new(key, f"{message_id}.{at}.{body.decode()}".encode(), hashlib.sha256).digest()
        signatures = request.headers["webhook-signature"].split(" ")
        return abs(time.time() - int(at)) < 300 and f"v1,{base64.b64encode(proof).decode()}" in signatures

    async def answer(self, _request: web.Request) -> web.StreamResponse:
        words = {entry["text"].split()[0] for entry in self.asked[-1]["texts"]}
        for action in ("refuse", "flag"):
            if action in words:
                return web.json_response({"action": action, "reason": "not in\nthis house.", "model": "m-1"})
        return web.json_response({"action": "allow"})


class SlowModeration(ModerationService):
    """Takes its time before it answers."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.seconds)
        return await super().answer(request)


class DrippingModeration(ModerationService):
    """Begins to answer at once, and never comes to an end."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)


class BrokenModeration(ModerationService):
    """Answers something else than was asked for."""

    def __init__(self, status: int, content: bytes) -> None:
        super().__init__()
        self.status = status
        self.content = content

    async def answer(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=self.status, body=self.content, headers={"Location": str(request.url)})
