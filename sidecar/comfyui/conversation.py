"""
The websocket on which a ComfyUI tells what it does.

The pack has one of its own, which carries everything. ComfyUI's tells each client of the prompts that were queued under
its id, which is why every prompt is queued under ours there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from sidecar.comfyui.http import ComfyUIHttp
from sidecar.comfyui.paired_http import PairedHttp, require_proof_of_socket
from sidecar.errors import ComfyUINotProven

SILENCE_S = 15.0
PING_INTERVAL_S = 20.0
CLOSE_WITHIN_S = 1.0  # a ComfyUI that is ending waits for us and no longer answers our goodbye
MAX_MESSAGE_BYTES = 64 * 1024**2
HTTP_NOT_FOUND = 404
OBSERVER = "/genonaut/observer"


class NoPack(Exception):
    """This ComfyUI has no pack."""


class ObserverEvent(msgspec.Struct):
    """One message. `at` is unix milliseconds."""

    type: str
    at: int = 0
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class Hello(msgspec.Struct):
    """What a ComfyUI says of itself. `directories` are its own output, temp and input folders."""

    comfyui_version: str = ""
    pack_version: str = ""
    directories: dict[str, str] = msgspec.field(default_factory=dict)


class Conversation(Protocol):
    """An open websocket."""

    @property
    def hello(self) -> Hello: ...
    async def receive(self) -> ObserverEvent | None:
        """What happened next; None after a silence."""
        ...

    async def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell the pack something, where there is one."""

    async def close(self) -> None: ...


class PackConversation:
    """The pack's observer socket."""

    def __init__(self, connection: ClientConnection, hello: Hello) -> None:
        self._connection = connection
        self.hello = hello

    @classmethod
    async def begin(cls, http: PairedHttp) -> PackConversation:
        """
        Raises:
            NoPack: It has none.
            ComfyUIAway: It does not prove that it has, or does not answer.
        """
        try:
            await http.introduce()
        except ComfyUINotProven as exc:
            if exc.status == HTTP_NOT_FOUND:
                raise NoPack from exc
            raise
        question = await http.question("GET", OBSERVER)
        connection = await open_socket(http.url + OBSERVER, question.headers)
        try:
            require_proof_of_socket(question, connection)
            message = await asyncio.wait_for(connection.recv(), SILENCE_S)
            return cls(connection, msgspec.convert(read_event(message).data, Hello))
        except BaseException:
            await connection.close()
            raise

    async def receive(self) -> ObserverEvent | None:
        try:
            return read_event(await asyncio.wait_for(self._connection.recv(), SILENCE_S))
        except asyncio.TimeoutError:
            return None

    async def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        await self._connection.send(msgspec.json.encode({"type": kind, "data": data}).decode())

    async def close(self) -> None:
        await self._connection.close()


class CoreConversation:
    """ComfyUI's own socket. It says of prompts that they have ended, and not how."""

    def __init__(self, connection: ClientConnection, hello: Hello) -> None:
        self._connection = connection
        self.hello = hello

    @classmethod
    async def begin(cls, http: ComfyUIHttp, client_id: str, hello: Hello) -> CoreConversation:
        return cls(await open_socket(f"{http.url}/ws?clientId={client_id}"), hello)

    async def receive(self) -> ObserverEvent | None:
        try:
            while isinstance(message := await asyncio.wait_for(self._connection.recv(), SILENCE_S), bytes):
                continue  # a preview
        except asyncio.TimeoutError:
            return None
        event = read_event(message)
        return ObserverEvent("outcome") if tells_of_an_end(event) else event

    async def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Without the pack, its queue panel shows its own queue alone, and it lets in whom it lets in."""

    async def close(self) -> None:
        await self._connection.close()


def tells_of_an_end(event: ObserverEvent) -> bool:
    """
    May something have ended? Each change of ComfyUI's queue is a `status`.

    `execution_success` and its like come before the history has it.
    """
    return event.type == "status" or (event.type == "executing" and event.data.get("node") is None)


async def open_socket(url: str, headers: Mapping[str, str] = MappingProxyType({})) -> ClientConnection:
    return await connect(
        "ws" + url.removeprefix("http"),
        additional_headers=headers,
        proxy=None,
        compression=None,  # it would cost both sides more time than it saves on the way
        max_size=MAX_MESSAGE_BYTES,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=PING_INTERVAL_S,
        close_timeout=CLOSE_WITHIN_S,
    )


def read_event(message: str | bytes) -> ObserverEvent:
    return msgspec.json.decode(message, type=ObserverEvent)
