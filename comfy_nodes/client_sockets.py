"""
Whose each websocket of ComfyUI's is, and each client id.

ComfyUI sends the events of a prompt to whoever has its client id, and such ids are no secret. So an id belongs to the
person who came with it first; anybody else who names it gets another one in its place, of which ComfyUI's page is told
and which stays theirs: what they submit under the id that they named is told to the socket that they opened with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, web

from .caller import Caller
from .sidecar_client import SidecarAway, SidecarRefused
from .wire import Handler

log = logging.getLogger("genonaut.sockets")

NO_BROWSER = "genonaut"
"""
The client id of a prompt that came without one. Without any, ComfyUI sends its previews to every browser, sends half of
its events to nobody, and 0.3.75 forgets the outputs of a prompt that it answers from its cache.
"""

MOST_IDS_EACH = 500
LONGEST_ID = 200
LOOK_AGAIN_S = 60.0
GOODBYE_S = 2.0
UNAUTHORIZED = 401


class LastOneCounts(dict[str, Any]):
    """
    ComfyUI's table of websockets, or of what it knows about them, from which each handler takes only its own.

    A page that loses its connection comes again with the same client id. When the handler of the old one ends at last,
    ComfyUI takes out whatever stands under that id, which is the new one by then, and the page hears nothing any more.
    """

    def __init__(self, before: Mapping[str, Any]) -> None:
        super().__init__(before)
        self._put_by_this_handler: ContextVar[Any] = ContextVar("genonaut_put_by_this_handler", default=None)

    def __setitem__(self, key: str, value: Any) -> None:
        self._put_by_this_handler.set(value)
        super().__setitem__(key, value)

    def pop(self, key: str, *default: Any) -> Any:
        mine = self._put_by_this_handler.get()
        if mine is not None and default and self.get(key) is not mine:
            return default[0]
        return super().pop(key, *default)


@dataclass(frozen=True, eq=False)
class OpenSocket:
    """One connection, for as long as it is open."""

    client_id: str
    caller: Caller
    transport: asyncio.Transport | None


class ClientSockets:
    """Every websocket of ComfyUI's page and of programs. One a process, on ComfyUI's event loop."""

    def __init__(self, server: Any) -> None:
        self.is_anothers: Callable[[str, str], bool] = lambda client_id, user_id: False
        """Is this client id that of a prompt of somebody else than this person, which has not ended?"""
        self._server = server
        self._open: set[OpenSocket] = set()
        self._ids: dict[str, OrderedDict[str, str]] = {}
        """By person: what they call their ids, and what these are."""
        self._holders: dict[str, str] = {}
        """By client id: whose it is."""
        self._closing: set[asyncio.Task[None]] = set()

    def id_for(self, caller: Caller, wanted: str | None) -> str:
        """Give the client id that is this person's, where they want this one."""
        ids = self._ids.setdefault(caller.user_id, OrderedDict())
        if wanted and wanted in ids:
            ids.move_to_end(wanted)
            return ids[wanted]
        chosen = wanted if wanted and self._may_have(caller.user_id, wanted) else uuid.uuid4().hex
        ids[wanted or chosen] = chosen
        self._holders[chosen] = caller.user_id
        self._forget_some_of(caller.user_id)
        return chosen

    async def serve(
        self,
        request: web.Request,
        handler: Handler,
        caller: Caller,
        find_again: Callable[[], Awaitable[Caller]],
    ) -> web.StreamResponse:
        """
        Have ComfyUI serve a websocket under an id of this person's.

        Args:
            find_again: Finds out who the same credentials belong to; a person's may end while a page stays open.
        """
        wanted = request.query.get("clientId")
        client_id = self.id_for(caller, wanted)
        if client_id != wanted:
            request = request.clone(rel_url=request.rel_url.update_query(clientId=client_id))
        socket = OpenSocket(client_id, caller, request.transport)
        with self._counted(socket, find_again):
            return await handler(request)

    def holder_of(self, client_id: str) -> Caller | None:
        """Who listens under this id; None where nobody does."""
        return next((socket.caller for socket in tuple(self._open) if socket.client_id == client_id), None)

    def ids_of(self, user_id: str) -> list[str]:
        """Under which ids somebody listens."""
        return sorted({socket.client_id for socket in tuple(self._open) if socket.caller.user_id == user_id})

    def everybody(self) -> list[tuple[str, str]]:
        """Under which ids somebody listens, each with who that is."""
        return sorted({(socket.client_id, socket.caller.user_id) for socket in tuple(self._open)})

    def ids_of_administrators(self) -> list[str]:
        return sorted({socket.client_id for socket in tuple(self._open) if socket.caller.is_admin})

    def close(self, user_id: str | None) -> None:
        """Close what somebody has open, or everybody (None): they may come again, if they may."""
        for socket in self._open:
            if user_id in (None, socket.caller.user_id):
                self._hang_up(socket)

    def _may_have(self, user_id: str, wanted: str) -> bool:
        return (
            wanted != NO_BROWSER
            and len(wanted) <= LONGEST_ID
            and self._holders.get(wanted, user_id) == user_id
            and not self.is_anothers(wanted, user_id)
        )

    def _forget_some_of(self, user_id: str) -> None:
        ids = self._ids[user_id]
        in_use = set(self.ids_of(user_id))
        for name in [name for name, client_id in ids.items() if client_id not in in_use][: len(ids) - MOST_IDS_EACH]:
            self._holders.pop(ids.pop(name), None)

    @contextmanager
    def _counted(self, socket: OpenSocket, find_again: Callable[[], Awaitable[Caller]]) -> Iterator[None]:
        self._open.add(socket)
        watch = asyncio.create_task(self._watch(socket, find_again))
        try:
            yield
        finally:
            watch.cancel()
            self._open.discard(socket)

    async def _watch(self, socket: OpenSocket, find_again: Callable[[], Awaitable[Caller]]) -> None:
        while True:
            # At once for the first time: it may have ended after we were told whose it is, and before this was open.
            if not await self._is_still_theirs(socket, find_again):
                self._hang_up(socket)
                return
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _is_still_theirs(self, socket: OpenSocket, find_again: Callable[[], Awaitable[Caller]]) -> bool:
        try:
            return (await find_again()).user_id == socket.caller.user_id
        except SidecarAway:
            return True  # nobody can say that it has ended
        except SidecarRefused as exc:
            if exc.status != UNAUTHORIZED:
                return True  # too much is asked at the moment, which says nothing of this person
            log.info("The session of %s has ended: %s", socket.caller.name, exc)
            return False

    def _hang_up(self, socket: OpenSocket) -> None:
        closing = asyncio.create_task(self._close(socket))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _close(self, socket: OpenSocket) -> None:
        listening = self._server.sockets.get(socket.client_id)
        with contextlib.suppress(asyncio.TimeoutError, ConnectionError, RuntimeError):
            if listening is not None:
                goodbye = listening.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Please log in again.")
                await asyncio.wait_for(goodbye, GOODBYE_S)
        if socket.transport is not None:
            socket.transport.close()
