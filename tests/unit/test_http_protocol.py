"""What a connection may send, byte by byte; spoken to a real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from sidecar import http_protocol
from sidecar.http_protocol import HEAD_BYTES, HEADERS_AT_MOST, BoundedHttp
from sidecar.tasks import end

WITHIN_S = 20.0
END_OF_HEAD = b"\r\n\r\n"
HOST = b"Host: here\r\n"
MUCH = b"x" * 4096
ENOUGH_TIMES = 4 * HEAD_BYTES // len(MUCH)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Tells what it was asked, when it has read all of it."""
    body, goes_on = b"", True
    while goes_on:
        message = await receive()
        body, goes_on = body + message.get("body", b""), message.get("more_body", False)
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    heard = json.dumps({"path": scope["path"], "headers": headers, "body": body.decode()}).encode()
    length = str(len(heard)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": heard})


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: BoundedHttp(config, state, {}), "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            while state.connections:
                await asyncio.sleep(0)


async def statuses(sent: Iterable[bytes], *, answers: int = 1) -> list[int]:
    """What is answered to these pieces, until so many answers or until the connection has ended."""
    told: list[int] = []
    async with connection() as (reader, writer):
        sending = asyncio.create_task(send_all(writer, sent))
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while len(told) < answers:
                head = await asyncio.wait_for(reader.readuntil(END_OF_HEAD), WITHIN_S)
                told.append(int(head.split()[1]))
                await reader.readexactly(length_in(head))
        await end(sending)
    return told


async def send_all(writer: asyncio.StreamWriter, pieces: Iterable[bytes]) -> None:
    with suppress(ConnectionError):  # nobody listens any more
        for piece in pieces:
            writer.write(piece)
            await writer.drain()


def length_in(head: bytes) -> int:
    (length,) = [int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"content-length")]
    return length


async def heard(request: bytes) -> Any:
    """What the app was asked."""
    async with connection() as (reader, writer):
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(END_OF_HEAD), WITHIN_S)
        return json.loads(await reader.readexactly(length_in(head)))


ENDLESS = {
    "an address": [b"GET /", *[MUCH] * ENOUGH_TIMES],
    "one header": [b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: ", *[MUCH] * ENOUGH_TIMES],
    "headers": [b"GET / HTTP/1.1\r\n" + HOST, *[b"Cookie: " + MUCH + b"\r\n"] * ENOUGH_TIMES],
    "what is said of a piece of a body": [
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;",
        *[MUCH] * ENOUGH_TIMES,
    ],
    "a trailer": [
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nAfter: ",
        *[MUCH] * ENOUGH_TIMES,
    ],
}


@pytest.mark.parametrize("endless", ENDLESS)
async def test_whatever_is_no_body_has_an_end(endless: str) -> None:
    """
    It is cut off when it is too long, and not kept until there is no memory left. Whoever goes on to send may miss why.
    """
    assert await statuses(ENDLESS[endless]) in ([400], [])


UNFIT = {
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "a length and pieces": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "pieces and a length": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "pieces of a name nobody knows": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a length that is none": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na",
    "a header on two lines": b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: a\r\n b\r\n\r\n",
    "lines that end in a line feed alone": b"GET / HTTP/1.1\nHost: here\n\n",
    "a carriage return inside a header": b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: a\rX-Forwarded-User: b\r\n\r\n",
    "a blank before a colon": b"GET / HTTP/1.1\r\n" + HOST + b"Cookie : a\r\n\r\n",
    "no byte of a header": b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: a\0b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nCookie: a\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: there\r\n\r\n",
    "more headers than anybody has": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * HEADERS_AT_MOST + b"\r\n",
    "more in them than anybody has": b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * HEAD_BYTES + b"\r\n\r\n",
    "an address in other letters": b"GET /\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("unfit", UNFIT)
async def test_what_two_programs_might_read_in_two_ways_is_refused(unfit: str) -> None:
    """
    And the connection is closed, whatever else was sent on it: a proxy may have thought that to be another request.
    """
    behind = b"GET /behind HTTP/1.1\r\n" + HOST + b"\r\n"

    assert await statuses([UNFIT[unfit] + behind], answers=2) == [400]


async def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever sends a letter now and then has no connection for ever.
    """
    monkeypatch.setattr(http_protocol, "HEAD_WITHIN_S", 0.05)

    assert await statuses([b"GET / HTTP/1.1\r\nHo"]) == []


async def test_a_head_that_comes_in_time_is_no_reason_to_be_cut_off_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A body may take its time.
    """
    monkeypatch.setattr(http_protocol, "HEAD_WITHIN_S", 0.05)
    async with connection() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHo")
        await asyncio.sleep(0.01)
        writer.write(b"st: here\r\nContent-Length: 2\r\n\r\na")
        await asyncio.sleep(0.1)
        writer.write(b"b")

        head = await asyncio.wait_for(reader.readuntil(END_OF_HEAD), WITHIN_S)

    assert head.startswith(b"HTTP/1.1 200")


async def test_what_comes_behind_a_body_is_no_header() -> None:
    """
    A proxy takes `X-Forwarded-User` out of a head; of trailers it may know nothing.
    """
    body = b"2\r\nhi\r\n0\r\nX-Forwarded-User: admin\r\n\r\n"
    told = await heard(b"POST /there HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + body)

    assert told["body"] == "hi"
    assert [name for name, _ in told["headers"]] == ["host", "transfer-encoding"]


async def test_a_large_body_in_many_small_pieces_is_read_to_its_end() -> None:
    """
    The words around its pieces are counted from one piece to the next, not all together.
    """
    pieces = b"4\r\nlamb\r\n" * HEAD_BYTES
    told = await heard(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")

    assert told["body"] == "lamb" * HEAD_BYTES


async def test_many_requests_on_one_connection_are_each_counted_alone() -> None:
    """
    Together their heads may be as long as they like.
    """
    one = b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: " + MUCH + b"\r\n\r\n"

    assert await statuses([one] * ENOUGH_TIMES, answers=ENOUGH_TIMES) == [200] * ENOUGH_TIMES


ANOTHER_PROTOCOL = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
BODIES = {
    "of a length": (b"Content-Length: 22\r\n", b"GET /behind HTTP/1.0\r\n"),
    "in pieces": (b"Transfer-Encoding: chunked\r\n", b"16\r\nGET /behind HTTP/1.0\r\n\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("at_once", [True, False], ids=["with its head", "after its head"])
async def test_a_body_is_a_body_also_of_a_request_that_asks_for_another_protocol(body: str, *, at_once: bool) -> None:
    """
    Java's client asks so of every server that it meets. To httptools its body would be the next request, which no
    proxy in between has seen.
    """
    length, content = BODIES[body]
    head = b"POST /there HTTP/1.1\r\n" + HOST + ANOTHER_PROTOCOL + length + b"\r\n"
    async with connection() as (reader, writer):
        for piece in [head + content] if at_once else [head, content]:
            writer.write(piece)
            await asyncio.sleep(0.01)
        answer = await asyncio.wait_for(reader.readuntil(END_OF_HEAD), WITHIN_S)
        told = json.loads(await reader.readexactly(length_in(answer)))

    assert told["path"] == "/there"
    assert told["body"] == "GET /behind HTTP/1.0\r\n"


async def test_after_a_request_that_asks_for_another_protocol_the_connection_goes_on() -> None:
    """
    In this one, with whatever else is asked on it, at once or later.
    """
    asks = b"GET / HTTP/1.1\r\n" + HOST + ANOTHER_PROTOCOL + b"\r\n"
    plain = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    told: list[bytes] = []
    async with connection() as (reader, writer):
        for sent, answers in ((plain, 1), (asks + plain, 2), (plain, 1)):
            writer.write(sent)
            for _ in range(answers):
                head = await asyncio.wait_for(reader.readuntil(END_OF_HEAD), WITHIN_S)
                told.append(head.split()[1])
                await reader.readexactly(length_in(head))

    assert told == [b"200"] * 4


async def test_nobody_answers_in_the_middle_of_another_answer() -> None:
    """
    Such a request that does not wait for the answer before it ends the connection.
    """
    asks = b"GET / HTTP/1.1\r\n" + HOST + ANOTHER_PROTOCOL + b"\r\n"

    assert await statuses([b"GET / HTTP/1.1\r\n" + HOST + b"\r\n" + asks], answers=2) == []
