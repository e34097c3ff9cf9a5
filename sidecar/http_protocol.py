"""
How requests are read: by httptools, a quarter of h11's work, and within bounds that httptools alone does not know.

httptools reads the head of a request, the words around the pieces of a body and the trailers behind it for as long as
somebody sends them, and uvicorn takes trailers for headers. Here whatever is no body has an end, and what comes behind
a head is no part of it: a proxy that looks after `X-Forwarded-...` need not look there.

To httptools a request that asks for another protocol has no body, though it may have one where nobody speaks that
protocol: what was sent as a body would be another request. So these few are read by h11, as is all that follows them.
"""

from __future__ import annotations

from asyncio import TimerHandle
from typing import Any

import httptools
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
HEADERS_AT_MOST = 200
HEAD_WITHIN_S = 20.0


class UnfitHead(Exception):
    """A head that httptools can read, and that nobody who means well sends."""


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = False
        self._besides_body = 0
        """How many bytes have come since there was something of a body, or a request was complete."""
        self._too_slow: TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._besides_body += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            self._go_on_with_h11(data[exc.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        else:
            self._look_at_bounds()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._besides_body = 0
        self._in_time()
        require_fit(self.headers, http_version=self.parser.get_http_version())
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._besides_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._besides_body = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def _look_at_bounds(self) -> None:
        if self._besides_body > HEAD_BYTES:
            self.send_400_response("This request has no end.")
        elif self._in_head and self._too_slow is None:
            self._too_slow = self.loop.call_later(HEAD_WITHIN_S, self.transport.close)

    def _in_time(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def _should_upgrade(self) -> bool:
        """What asks for another protocol is not for this one to answer, whichever it is."""
        return True

    def _go_on_with_h11(self, rest: bytes) -> None:
        """
        Args:
            rest: What came behind the head of the request.
        """
        if self.cycle is not None and not self.cycle.response_complete:  # two would answer at once
            self.transport.close()
            return
        version = self.parser.get_http_version().encode()
        lines = [b" ".join((self.scope["method"].encode(), self.url, b"HTTP/" + version))]
        lines += [name + b": " + value for name, value in self.headers]
        self.connections.discard(self)
        reader = H11Protocol(self.config, self.server_state, self.app_state)
        reader.connection_made(self.transport)
        self.transport.set_protocol(reader)
        reader.data_received(b"\r\n".join((*lines, b"", rest)))


def require_fit(headers: list[tuple[bytes, bytes]], *, http_version: str) -> None:
    """
    Raises:
        UnfitHead: It is too large, or does not say exactly once which host is meant (RFC 9112, 3.2).
    """
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (hosts == 0 and http_version == "1.1"):
        raise UnfitHead
    if len(headers) > HEADERS_AT_MOST or sum(len(name) + len(value) for name, value in headers) > HEAD_BYTES:
        raise UnfitHead
