"""
What the pack writes for others to read: JSON that every reader takes, ids, and errors in ComfyUI's shape.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from .pairing import (
    ANSWER_HEADER,
    PAIRING_HEADER,
    WHOEVER,
    Misdirected,
    NotProven,
    PairingTrouble,
    Question,
    pairing_of,
    target_of,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""What answers a request; whoever stands in front of it is given it."""

NESTING = (dict, list, tuple)  # what json.dumps goes into
request_key: Any = getattr(web, "RequestKey", lambda name, _kind: name)  # since aiohttp 3.14
PAIRED, ASKED = request_key("genonaut_paired", bool), request_key("genonaut_asked", Question)
INTRODUCTION = "/genonaut/pairing"
UUID_LENGTH, VERSION_AT = 36, 14
AWAY_RETRY_AFTER_S = 5
DEEPEST_VALUE = 120
"""
What is nested deeper is told as a note. The readers' stacks end near 1000 levels, and the writer's need not end there:
what one of them cannot read would hide everything after it. A prompt may have 100 levels (`prompt_body.MOST_LEVELS`).
"""


def encode_json(value: Any) -> bytes:
    """
    Encode anything that a node may hand out; what JSON cannot say is told as text, and what is not a number as null.

    Strict readers refuse ``NaN`` and half surrogate pairs; one such value would make a whole journal unreadable.
    """
    if is_nested_deeper_than(DEEPEST_VALUE, value):
        value = to_plain(value)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError):
        text = json.dumps(to_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", errors="replace")


def is_nested_deeper_than(levels: int, value: Any) -> bool:
    """Level by level and without recursion, since the point is to survive any depth."""
    level = [value] if isinstance(value, NESTING) else []
    for _ in range(levels):
        if not level:
            return False
        children = (child for item in level for child in (item.values() if isinstance(item, dict) else item))
        # By identity: what holds itself twice would double with each level.
        level = list({id(child): child for child in children if isinstance(child, NESTING)}.values())
    return bool(level)


def to_plain(value: Any, depth: int = 0) -> Any:
    """Make a copy of the value that holds nothing but what JSON can say."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth < DEEPEST_VALUE and isinstance(value, Mapping):
        return {str(key): to_plain(item, depth + 1) for key, item in value.items()}
    if depth < DEEPEST_VALUE and isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item, depth + 1) for item in value]
    return str(value) if depth < DEEPEST_VALUE else f"({type(value).__name__}, nested too deeply)"


def new_generation_id() -> str:
    """
    Make a UUIDv7 (RFC 9562, section 5.7): ids of one process sort by the time at which they were made.

    The twelve bits after the version carry the fraction of the millisecond (section 6.2, method 3).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    number = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def first_run_of(prompt_id: str) -> str:
    """The id of a generation, as its first prompt has it: those of its later runs differ in the version alone."""
    is_ours = len(prompt_id) == UUID_LENGTH and prompt_id[VERSION_AT] in "89abcdef"
    return f"{prompt_id[:VERSION_AT]}7{prompt_id[VERSION_AT + 1 :]}" if is_ours else prompt_id


def json_answer(body: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=encode_json(body), status=status, content_type="application/json", charset="utf-8")


def error_answer(
    status: int,
    kind: str,
    message: str,
    *,
    details: str = "",
    node_errors: Mapping[str, Any] | None = None,
    retry_after_s: float | None = None,
) -> web.Response:
    """
    Answer in ComfyUI's own error shape.

    ComfyUI's page prints ``undefined`` where one of the four fields is missing, so all of them are always there.
    """
    error = {"type": kind, "message": message, "details": details, "extra_info": {}}
    answer = json_answer({"error": error, "node_errors": dict(node_errors or {})}, status=status)
    if retry_after_s is not None:
        answer.headers["Retry-After"] = str(math.ceil(retry_after_s))
    return answer


def away(consequence: str) -> str:
    """Say that the sidecar does not answer, and what cannot be done for want of it."""
    return f"Genonaut's sidecar does not answer at the moment, so {consequence}. Please try again in a few seconds."


def away_answer(sentence: str) -> web.Response:
    return error_answer(503, "sidecar_away", sentence, retry_after_s=AWAY_RETRY_AFTER_S)


async def is_paired(request: web.Request, secret: str) -> bool:
    """
    Does this request come from our sidecar? Asked at several doors, and a proof is good once.

    Raises:
        PairingTrouble: It does, and cannot be answered; `code_of` names it.
        web.HTTPRequestEntityTooLarge: Nobody can say: its body is larger than ComfyUI takes.
    """
    if PAIRED not in request:
        request[PAIRED] = await check_question(request, secret)
    return bool(request[PAIRED])


async def check_question(request: web.Request, secret: str) -> bool:
    shown, names = request.headers.get(PAIRING_HEADER, ""), (WHOEVER,) if request.path == INTRODUCTION else ()
    target = target_of(request.path, request.rel_url.raw_query_string)
    try:
        question = request[ASKED] = pairing_of(secret).check(shown, request.method, target, names=names)
    except NotProven:
        return False
    except PairingTrouble as exc:
        request[ASKED] = exc.question
        raise
    # Whoever handles it reads the body from where this keeps it.
    if not question.is_about(await request.read() if request.body_exists else b""):
        del request[ASKED]
        return False
    return True


async def prove_answer(request: web.Request, answer: web.StreamResponse) -> None:
    """Show the sidecar that it is us who answer it. A hook of aiohttp's, before any answer begins."""
    question = request.get(ASKED)
    if question is not None:
        answer.headers[ANSWER_HEADER] = question.answer(answer.status, whole_body_of(answer))


def whole_body_of(answer: web.StreamResponse) -> bytes | None:
    """None for what is sent bit by bit: a file, a websocket, a stream."""
    if not isinstance(answer, web.Response):
        return None
    return bytes(answer.body) if isinstance(answer.body, (bytes, bytearray)) else None if answer.body else b""


def code_of(exc: PairingTrouble) -> tuple[int, str]:
    """Name, by status and word, what is wrong with a question of our own sidecar."""
    return (421, "misdirected") if isinstance(exc, Misdirected) else (401, "clocks_differ")


def not_paired_answer() -> web.Response:
    return error_answer(401, "not_paired", "Only the sidecar that belongs to this ComfyUI may ask for this.")
