"""
The routes below ``/genonaut/`` that the pack answers itself, for the sidecar alone:

    GET  /genonaut/pairing             by which name this process is to be asked
    GET  /genonaut/observer            websocket: events to the sidecar, the list of held prompts from it
    GET  /genonaut/outcomes?after=N    the journal, and what ComfyUI has in hand
    POST /genonaut/outcomes/confirm    what is recorded may be forgotten
    POST /genonaut/cancel              take a prompt out, or interrupt it
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import WSMsgType, web

from .event_tap import EventTap, Observer, as_message
from .held_prompts import HeldPrompt, HeldPrompts
from .interrupts import Interrupts
from .leading_term import LeadingTerm
from .outcome_journal import OutcomeJournal
from .pairing import pairing_of
from .refusals import mark_refused
from .wire import INTRODUCTION, Handler, encode_json, error_answer, is_paired, json_answer, not_paired_answer

log = logging.getLogger("genonaut.routes")

HEARTBEAT_S = 15.0
LARGEST_MESSAGE = 4 * 1024**2  # a thousand held prompts are about 150 kB


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
        term: LeadingTerm | None = None,
    ) -> None:
        self._server = server
        self._tap = tap
        self._journal = journal
        self._held = held
        self._interrupts = interrupts
        self._pairing_secret = pairing_secret
        self._introduction = introduction
        self._term = term or LeadingTerm()
        self._ears: dict[str, Callable[[dict[str, Any]], None]] = {
            "access": self._hear_access,
            "callers_changed": self._hear_callers_changed,
            "held": self._hear_held,
            "recorded": self._hear_recorded,
        }
        self.on_access_told: list[Callable[[str | None], None]] = []
        """Called with what the sidecar says its access is; with None when it has gone."""
        self.on_callers_changed: list[Callable[[str | None], None]] = []
        """Called when somebody may do other things than before; with None: anybody may."""

    def for_the_sidecar_alone(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if not await is_paired(request, self._pairing_secret):
                mark_refused(request, "not_paired")
                return not_paired_answer()
            return await handler(request)

        return guarded

    def add_to(self, routes: web.RouteTableDef) -> None:
        """Add every route to ComfyUI's table, which makes the form below ``/api`` as well."""
        alone = self.for_the_sidecar_alone
        routes.get(INTRODUCTION)(alone(self.introduce))
        routes.get("/genonaut/observer")(alone(self.observe))
        routes.get("/genonaut/outcomes")(alone(self.tell_outcomes))
        routes.post("/genonaut/outcomes/confirm")(alone(self.confirm_outcomes))
        routes.post("/genonaut/cancel")(alone(self.cancel))

    async def introduce(self, request: web.Request) -> web.Response:
        """Say how to address questions to this process, and to no other one."""
        return json_answer({"process": pairing_of(self._pairing_secret).process})

    async def observe(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=LARGEST_MESSAGE)
        await socket.prepare(request)
        observer = Observer(socket, request.transport)
        # Observed from before the first word on: whatever happens after it is not missed.
        self._tap.observers.append(observer)
        writer = None
        try:
            await socket.send_str(as_message("hello", encode_json(self._introduction())))
            writer = asyncio.create_task(self._write(observer, socket))
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    self._hear(message.data)
        finally:
            self._tap.observers.remove(observer)
            if not self._tap.observers:
                self._tell(self.on_access_told, None)
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
            hear = self._ears.get(message["type"])
            if hear is not None:
                hear(message["data"])
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("The sidecar said something that this version of the pack does not understand.", exc_info=True)

    def _hear_held(self, data: dict[str, Any]) -> None:
        self._held.replace([read_held(entry) for entry in data["held"]], int(data["total"]))
        self._server.queue_updated()

    def _hear_recorded(self, data: dict[str, Any]) -> None:
        if data["journal"] == self._journal.id:
            self._confirm(int(data["through"])).add_done_callback(confirmed)

    def _hear_access(self, data: dict[str, Any]) -> None:
        self._tell(self.on_access_told, str(data["access"]))

    def _hear_callers_changed(self, data: dict[str, Any]) -> None:
        user_id = data["user_id"]
        self._tell(self.on_callers_changed, None if user_id is None else str(user_id))

    def _tell(self, listeners: list[Callable[[str | None], None]], what: str | None) -> None:
        for listener in listeners:
            listener(what)

    async def tell_outcomes(self, request: web.Request) -> web.Response:
        try:
            after, term = (int(request.query.get(name, "0")) for name in ("after", "term"))
        except ValueError:
            return error_answer(400, "invalid_request", "after and term must be whole numbers.")
        self._term.is_over(term)  # before the look: what is not in it and was sent before comes in no more
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
        await self._confirm(through)
        return web.Response(status=204)

    def _confirm(self, through: int) -> asyncio.Future[None]:
        """Not here: when the journal is made smaller, that waits for the disk."""
        return asyncio.get_running_loop().run_in_executor(None, self._journal.confirm, through)

    async def cancel(self, request: web.Request) -> web.Response:
        prompt_id = (await read_object(request)).get("prompt_id")
        if not isinstance(prompt_id, str):
            return error_answer(400, "invalid_request", "prompt_id must be text.")
        return json_answer({"was": self._interrupts.cancel(prompt_id)})


def confirmed(writing: asyncio.Future[None]) -> None:
    """What is not forgotten now is forgotten with the next outcome."""
    if not writing.cancelled() and writing.exception() is not None:
        log.error("The journal could not be told that it was read.", exc_info=writing.exception())


def read_held(entry: dict[str, Any]) -> HeldPrompt:
    created_at = entry.get("created_at")
    return HeldPrompt(
        prompt_id=str(entry["id"]),
        number=float(entry["number"]),
        client_id=entry.get("client_id"),
        created_at_ms=int(created_at) if isinstance(created_at, (int, float)) else 0,
        owner_id=entry.get("owner_id"),
    )


async def read_object(request: web.Request) -> dict[str, Any]:
    try:
        value = await request.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
