"""
Hands ``/genonaut/...`` on to the sidecar, so that the browser knows one origin. Streams both ways, event streams too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import unquote

import aiohttp
from aiohttp import web

from .pairing import PAIRING_HEADER
from .sidecar_proof import NotTheSidecar, SidecarProof
from .wire import encode_json

log = logging.getLogger("genonaut.proxy")

PREFIX = "/genonaut/"
RETRY_AFTER_S = 3
CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 120.0  # event streams say something every 15 s

# RFC 9110, section 7.6.1: these speak of one connection, not of the message.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
STRANGER_ANSWERS = (
    "Another program answers in the place of Genonaut's sidecar, so nothing is handed to it, and nothing can be shown. "
    "ComfyUI's log tells its administrator what to do."
)
THROUGH_US = "X-Forwarded-Prefix"
NOT_PASSED_ON = HOP_BY_HOP | {"host", PAIRING_HEADER.lower()}

Headers = list[tuple[str, str]]


class SidecarProxy:
    """Passes requests on. One a process, on ComfyUI's event loop; closed when that ends."""

    def __init__(self, url: str, proof: SidecarProof) -> None:
        self._url = url
        self._proof = proof
        self._session: aiohttp.ClientSession | None = None

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        path = path_at_sidecar(request)
        if path is None:
            return problem(404, "not_found", "There is no such thing here.")
        try:
            async with self._open_session().request(
                request.method,
                f"{self._url}/{path}",
                headers=headers_to_pass(request),
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            ) as answer:
                return await pass_back(request, answer)
        except NotTheSidecar as exc:
            log.debug("%s", exc)  # who asks for the pack itself says it aloud
            return problem(503, "sidecar_is_a_stranger", STRANGER_ANSWERS, retry_after_s=RETRY_AFTER_S)
        except (aiohttp.ClientConnectionError, aiohttp.ServerTimeoutError) as exc:
            log.debug("The sidecar is away: %s", exc)
            return problem(
                503,
                "sidecar_away",
                "Genonaut's sidecar does not answer at the moment. "
                "ComfyUI goes on working; what is recorded is shown again when it is back.",
                retry_after_s=RETRY_AFTER_S,
            )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                connector=aiohttp.TCPConnector(limit=0),  # each open page keeps an event stream
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_TIMEOUT_S),
                trace_configs=[self._proof.tracing()],
            )
        return self._session


def path_at_sidecar(request: web.Request) -> str | None:
    """Give path and query as the sidecar knows them; None for what is not for browsers, however it is written."""
    path = request.rel_url.raw_path.partition(PREFIX)[2]
    steps = [step for step in unquote(path).replace("\\", "/").split("/") if step]
    if not steps or steps[0].lower() == "internal" or {".", ".."} & set(steps):
        return None
    query = request.rel_url.raw_query_string
    return f"{path}?{query}" if query else path


def headers_to_pass(request: web.Request) -> Headers:
    """
    Pass on what was sent, and add to the lists of what each proxy on the way has heard: from whom, how, by which name.

    What others have put there stays, for the sidecar knows which of them to believe.
    """
    heard = {
        "X-Forwarded-For": request.remote or "",
        "X-Forwarded-Proto": request.scheme,
        "X-Forwarded-Host": request.host,
    }
    forwarded = [(name, ", ".join([*request.headers.getall(name, []), ours])) for name, ours in heard.items()]
    forwarded.append((THROUGH_US, PREFIX.rstrip("/")))
    said_by_us = frozenset(name.lower() for name, _ in forwarded)
    return [*without(request.headers, NOT_PASSED_ON | said_by_us), *forwarded]


def without(headers: Mapping[str, str], names: frozenset[str]) -> Headers:
    """Leave out the named headers, and those that ``Connection`` names (it may come more than once, as any header)."""
    lines = [value for name, value in headers.items() if name.lower() == "connection"]
    named_there = {name.strip().lower() for line in lines for name in line.split(",")}
    return [(name, value) for name, value in headers.items() if name.lower() not in names | named_there]


async def pass_back(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    passed = web.StreamResponse(status=answer.status, reason=answer.reason, headers=without(answer.headers, HOP_BY_HOP))
    await passed.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await passed.write(chunk)
        await passed.write_eof()
    except ConnectionResetError:
        log.debug("The browser went away in the middle of %s.", request.path)
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, aiohttp.ServerTimeoutError):
        # The answer has begun, so its status is out: ending the connection is the only way to say that it is not whole.
        log.warning("The sidecar went away in the middle of %s.", request.path)
        if request.transport is not None:
            request.transport.close()
    return passed


def problem(status: int, code: str, detail: str, *, retry_after_s: int | None = None) -> web.Response:
    """Say it as RFC 9457 does, as the sidecar would."""
    body = {"type": "about:blank", "title": code.replace("_", " "), "status": status, "detail": detail, "code": code}
    if retry_after_s is None:
        return web.Response(status=status, body=encode_json(body), content_type="application/problem+json")
    return web.Response(
        status=status,
        body=encode_json({**body, "retry_after_s": retry_after_s}),
        content_type="application/problem+json",
        headers={"Retry-After": str(retry_after_s)},
    )
