"""
A ComfyUI as it comes, without the pack, as far as the sidecar sees it; the test says what happens to its queue.

Like the real one it keeps what has ended in its history, and of what is deleted from its queue it keeps nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiohttp import WSCloseCode, web

Twin = TypeVar("Twin", bound="PlainComfyUI")


class PlainComfyUI:
    """Behaves well."""

    def __init__(self) -> None:
        self.url = ""
        self.running: list[str] = []
        self.pending: list[str] = []
        self.history: dict[str, Any] = {}
        self.posted: list[str] = []
        self._sockets: set[web.WebSocketResponse] = set()

    @asynccontextmanager
    async def served(self: Twin, port: int = 0) -> AsyncIterator[Twin]:
        """Listen on loopback for the length of the block; entered again it is a new process with nothing in it."""
        self.running, self.pending, self.history = [], [], {}
        runner = web.AppRunner(self._app(), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for socket in list(self._sockets):
                await socket.close(code=WSCloseCode.GOING_AWAY)
            await runner.cleanup()

    async def finish(self, prompt_id: str) -> None:
        """Let a prompt end well, without images."""
        for queue in (self.running, self.pending):
            if prompt_id in queue:
                queue.remove(prompt_id)
        messages = [["execution_start", {"timestamp": 1000}], ["execution_success", {"timestamp": 2500}]]
        status = {"status_str": "success", "completed": True, "messages": messages}
        self.history[prompt_id] = {"prompt": [1, prompt_id, {}, {}, []], "outputs": {}, "status": status}
        await self.tell_status()

    async def clear_queue(self) -> None:
        """What somebody does in ComfyUI's own page."""
        self.pending.clear()
        await self.tell_status()

    async def tell_status(self) -> None:
        remaining = {"exec_info": {"queue_remaining": len(self.pending) + len(self.running)}}
        for socket in self._sockets:
            await socket.send_json({"type": "status", "data": {"status": remaining}})

    def _app(self) -> web.Application:
        app = web.Application()
        answers: list[tuple[str, str, Callable[[web.Request], Any]]] = [
            ("GET", "/system_stats", self._system_stats),
            ("GET", "/object_info", self._object_info),
            ("GET", "/queue", self._queue),
            ("POST", "/queue", self._change_queue),
            ("GET", "/history/{prompt_id}", self._history),
            ("POST", "/prompt", self._prompt),
            ("GET", "/ws", self._socket),
        ]
        for method, path, answer in answers:
            app.router.add_route(method, path, answer)
        return app

    async def _system_stats(self, _request: web.Request) -> web.Response:
        return web.json_response({"system": {"comfyui_version": "0.3.75"}, "devices": []})

    async def _object_info(self, _request: web.Request) -> web.Response:
        return web.json_response({})

    async def _queue(self, _request: web.Request) -> web.Response:
        def items(ids: list[str]) -> list[Any]:
            return [[1, prompt_id, {}, {}, []] for prompt_id in ids]

        return web.json_response({"queue_running": items(self.running), "queue_pending": items(self.pending)})

    async def _change_queue(self, request: web.Request) -> web.Response:
        for prompt_id in (await request.json())["delete"]:
            if prompt_id in self.pending:  # the first one with this id alone
                self.pending.remove(prompt_id)
        await self.tell_status()
        return web.Response()

    async def _history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        return web.json_response({prompt_id: self.history[prompt_id]} if prompt_id in self.history else {})

    async def _prompt(self, request: web.Request) -> web.Response:
        prompt_id = (await request.json())["prompt_id"]
        self.posted.append(prompt_id)
        self.pending.append(prompt_id)
        return web.json_response({"prompt_id": prompt_id, "number": 1, "node_errors": {}})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for _ in socket:
                await asyncio.sleep(0)
        finally:
            self._sockets.discard(socket)
        return socket


class SlowPlainComfyUI(PlainComfyUI):
    """Takes prompts in when the test lets it, also from somebody who is gone by then."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.asked = 0

    async def _prompt(self, request: web.Request) -> web.Response:
        await request.read()
        self.asked += 1
        await self.go_on.wait()
        return await super()._prompt(request)
