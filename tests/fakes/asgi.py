"""
Requests to an app in this very process, as a server would hand them over: from whatever address, with whatever headers,
and with answers that need not end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

from litestar import Litestar

HOST = "127.0.0.1:8190"
EVENT_STREAM = b"text/event-stream"


@dataclass(frozen=True)
class Answer:
    """What came back; of a stream of events what had been sent when the browser left."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known == name.lower()), None)


class Stay:
    """How long a browser stays with a stream of events, and what it has heard so far."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.heard = bytearray()

    async def until_heard(self, text: str, *, within_s: float = 30.0) -> None:
        deadline = asyncio.get_running_loop().time() + within_s
        while text.encode() not in self.heard:
            assert asyncio.get_running_loop().time() < deadline, f"never heard of {text}"
            await asyncio.sleep(0.01)


class Browser:
    """Whoever asks, at one address."""

    def __init__(self, app: Litestar, *, address: str = "127.0.0.1", headers: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._address = address
        self._headers = dict(headers or {})

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        chunks: Iterable[bytes] | None = None,
        stay: Stay | None = None,
    ) -> Answer:
        """
        Ask, and wait for the answer.

        Args:
            body: Sent as JSON, with its length.
            chunks: Sent as they are, and nothing says how many there will be.
            stay: With a stream of events; otherwise it is left as soon as it has begun.
        """
        content = [json.dumps(body).encode()] if body is not None else list(chunks or [b""])
        told = {"Host": HOST, **({} if body is None else {"Content-Type": "application/json"}), **self._headers}
        if body is not None:
            told["Content-Length"] = str(len(content[0]))
        connection = Connection(content, stay)
        await self._app(self._scope(method, path, {**told, **(headers or {})}), connection.receive, connection.send)
        return Answer(connection.status, connection.headers, bytes(connection.body))

    def _scope(self, method: str, path: str, headers: Mapping[str, str]) -> Any:
        plain, _, query = path.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(plain),
            "raw_path": plain.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": (self._address, 50000),
            "server": ("127.0.0.1", 8190),
        }


class Connection:
    """What a server does between the app and the network."""

    def __init__(self, content: list[bytes], stay: Stay | None) -> None:
        self._content = content
        self._listens = stay is not None
        stay = stay or Stay()
        self._left, self.body = stay.left, stay.heard
        self.status = 0
        self.headers: list[tuple[str, str]] = []

    async def receive(self) -> Any:
        if self._content:
            chunk = self._content.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._content)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = cast(list[tuple[bytes, bytes]], message["headers"])
            self.headers = [(name.decode(), value.decode("latin-1")) for name, value in headers]
            is_stream = any(name == b"content-type" and value.startswith(EVENT_STREAM) for name, value in headers)
            if is_stream and not self._listens:
                self._left.set()
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                self._left.set()  # as servers do when they have sent the last of it
