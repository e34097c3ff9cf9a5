"""
What every request and every answer passes, whichever route it is for, and where there is none.

    in:  who asks (`clients.py`), and the request's id (`request_ids.py`)
    out: the headers that tell a browser what it must not do with an answer
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from litestar.datastructures import Headers
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from sidecar.clients import CLIENT, Client, TrustedProxies
from sidecar.request_ids import REQUEST_ID, REQUEST_ID_HEADER, choose_request_id

RawHeaders = Iterable[tuple[bytes, bytes]]

NOTHING_RUNS = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

UNLESS_A_ROUTE_SAYS_OTHERWISE = {
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": NOTHING_RUNS,
    b"cross-origin-resource-policy": b"same-origin",
    # Not `no-referrer`: with it, browsers would hide from us whose page a form was sent from, too.
    b"referrer-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""What is somebody's own stays with them: no other page shows it, embeds it, runs it or keeps it."""

ONLY_THROUGH_TLS = (b"strict-transport-security", b"max-age=31536000")  # for a year
# What a browser keeps for one person is not for the next one who logs in there.
FOR_WHOM = (b"vary", b"Cookie, Authorization")


class Entrance:
    """Around the whole app: the first to hear of a request, and the last to have a say in its answer. One a process."""

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = self._proxies.client_of(cast(HTTPScope, scope))  # there are no websockets here
        request_id = choose_request_id(Headers.from_scope(scope).get(REQUEST_ID_HEADER))
        state: dict[str, Any] = scope["state"]
        state.update({CLIENT: client, REQUEST_ID: request_id})

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = completed(message["headers"], client, request_id)
            await send(message)

        with bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_completed)


def completed(headers: RawHeaders, client: Client, request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with those that every answer has; names are in lower case, as ASGI wants them."""
    sent = list(headers)
    said = dict(sent)
    sent += [(name, value) for name, value in UNLESS_A_ROUTE_SAYS_OTHERWISE.items() if name not in said]
    sent.append((REQUEST_ID_HEADER.lower().encode(), request_id.encode()))
    if client.scheme == "https":
        sent.append(ONLY_THROUGH_TLS)
    if b"private" in said.get(b"cache-control", b""):
        sent.append(FOR_WHOM)
    return sent
