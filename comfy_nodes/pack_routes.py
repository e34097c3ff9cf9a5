"""
The routes below ``/genonaut/`` that the pack answers itself, for the sidecar alone:

    GET  /genonaut/observer            websocket: events to the sidecar, the list of held prompts from it
    GET  /genonaut/outcomes?after=N    the journal, and what ComfyUI has in hand
    POST /genonaut/outcomes/confirm    what is recorded may be forgotten
    POST /genonaut/cancel              take a prompt out, or interrupt it
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from .event_tap import EventTap, Observer, as_message
from .held_prompts import HeldPrompt, HeldPrompts
from .outcome_journal import OutcomeJournal
from .owned_queue import PROMPT_ID
from .wire import encode_json, error_answer, is_paired, json_answer, not_paired_answer

log = logging.getLogger("genonaut.routes")

HEARTBEAT_S = 15.0
MOST_REMEMBERED_INTERRUPTS = 100
LARGEST_MESSAGE = 4 * 1024**2  # a thousand held prompts are about 150 kB

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PackRoutes:
    """Handlers of the pack's own routes. One a process."""

    def __init__(
        self,
        server: Any,
        tap: EventTap,
        journal: OutcomeJournal,
        held: HeldPrompts,
        interrupts: Interrupts,
        *,
        pairing_secret: str,
        introduction: Callable[[], dict[str, Any]],
    ) -> None:
        self._server = server
        self._tap = tap
        self._journal = journal
        self._held = held
        self._interrupts = interrupts
        self._pairing_secret = pairing_secret
        self._introduction = introduction

    def for_the_sidecar_alone(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if not is_paired(request, self._pairing_secret):
                return not_paired_answer()
            return await handler(request)

        return guarded

    def add_to(self, routes: web.RouteTableDef) -> None:
        """Add every route to ComfyUI's table, which makes the form below ``/api`` as well."""
        alone = self.for_the_sidecar_alone
        routes.get("/genonaut/observer")(alone(self.observe))
        routes.get("/genonaut/outcomes")(alone(self.tell_outcomes))
        routes.post("/genonaut/outcomes/confirm")(alone(self.confirm_outcomes))
        routes.post("/genonaut/cancel")(alone(self.cancel))

    async def observe(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=LARGEST_MESSAGE)
        await socket.prepare(request)
        observer = Observer(socket, request.transport)
        # Observed from before the first word on: whatever happens after it is not missed.
        self._tap.observers.append(observer)
        writer = None
        try:
            await socket.send_str(as_message("hello", self._introduction()))
            writer = asyncio.create_task(self._write(observer, socket))
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._hear(message.data)
        finally:
            self._tap.observers.remove(observer)
            if writer is not None:
                writer.cancel()
        return socket

    async def _write(self, observer: Observer, socket: web.WebSocketResponse) -> None:
        try:
            await observer.write()
        except (asyncio.TimeoutError, ConnectionError, RuntimeError) as exc:
            log.warning("The sidecar's observer is dropped: %s", exc or "it takes nothing")
            await socket.close()

    def _hear(self, text: str) -> None:
        try:
            message = json.loads(text)
            if message["type"] != "held":
                return
            told = [read_held(entry) for entry in message["data"]["held"]]
            self._held.replace(told, int(message["data"]["total"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("The sidecar said something that this version of the pack does not understand.", exc_info=True)
            return
        self._server.queue_updated()

    async def tell_outcomes(self, request: web.Request) -> web.Response:
        try:
            after = int(request.query.get("after", "0"))
        except ValueError:
            return error_answer(400, "invalid_request", "after must be a whole number.")
        # The queue first, then the journal: what ends in between is in both, never in neither.
        running, pending = self._server.prompt_queue.own_queue()
        entries, more = await asyncio.get_running_loop().run_in_executor(None, self._journal.entries_after, after)
        start = encode_json({"journal": self._journal.id, "running": running, "pending": pending, "more": more})
        body = b"".join((start[:-1], b',"entries":[', b",".join(entries), b"]}"))
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    async def confirm_outcomes(self, request: web.Request) -> web.Response:
        through = (await read_object(request)).get("through")
        if isinstance(through, bool) or not isinstance(through, int):
            return error_answer(400, "invalid_request", "through must be a whole number.")
        await asyncio.get_running_loop().run_in_executor(None, self._journal.confirm, through)
        return web.Response(status=204)

    async def cancel(self, request: web.Request) -> web.Response:
        prompt_id = (await read_object(request)).get("prompt_id")
        if not isinstance(prompt_id, str):
            return error_answer(400, "invalid_request", "prompt_id must be text.")
        return json_answer({"was": self._interrupts.cancel(prompt_id)})


class Interrupts:
    """
    Cancels what ComfyUI has in its hands.

    ComfyUI's interrupt is one flag for the whole process, and it is reset when a prompt starts. Set between the moment
    at which the worker takes a prompt and that reset, it would be lost; so it is remembered, and set again after it.
    """

    def __init__(self, queue: Any, interrupt_processing: Callable[[], None]) -> None:
        self._queue = queue
        self._interrupt_processing = interrupt_processing
        self._lock = threading.Lock()
        self._wanted: list[str] = []

    def cancel(self, prompt_id: str) -> str:
        """
        Take a prompt out of the queue, or interrupt it, in one step.

        Returns:
            What it was: ``pending``, ``running`` or ``absent``.
        """
        with self._queue.mutex:  # while this is held, the worker can neither take a prompt nor finish one
            self._queue.genonaut.held.remove(prompt_id)
            running, pending = self._queue.own_queue()
            if prompt_id in pending:
                self._queue.delete_queue_item(lambda item: item[PROMPT_ID] == prompt_id)
                return "pending"
            if prompt_id in running:
                self._interrupt(prompt_id)
                return "running"
        return "absent"

    def started(self, prompt_id: str) -> None:
        """Interrupt a prompt that starts only now and was cancelled a moment ago."""
        with self._lock:
            if prompt_id not in self._wanted:
                return
            self._wanted.remove(prompt_id)
        self._interrupt_processing()

    def _interrupt(self, prompt_id: str) -> None:
        with self._lock:
            self._wanted = [*self._wanted[-MOST_REMEMBERED_INTERRUPTS:], prompt_id]
        interrupt_if_running = getattr(self._queue, "interrupt_if_running", None)
        if interrupt_if_running is not None:  # since 0.30 or so
            interrupt_if_running(prompt_id)
        else:
            self._interrupt_processing()


def read_held(entry: dict[str, Any]) -> HeldPrompt:
    created_at = entry.get("created_at")
    return HeldPrompt(
        prompt_id=str(entry["id"]),
        number=float(entry["number"]),
        client_id=entry.get("client_id"),
        created_at_ms=int(created_at) if isinstance(created_at, (int, float)) else 0,
    )


async def read_object(request: web.Request) -> dict[str, Any]:
    try:
        value = await request.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
