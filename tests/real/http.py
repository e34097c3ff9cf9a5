"""The few requests that the demo and the tests make: JSON in, JSON or bytes out, of servers on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_S = 30.0
# A proxy in the environment knows nothing of this machine's own ports.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get_json(url: str, *, timeout_s: float = TIMEOUT_S) -> Any:
    return json.loads(get_bytes(url, timeout_s=timeout_s))


def get_bytes(url: str, *, timeout_s: float = TIMEOUT_S) -> bytes:
    with _opener.open(url, timeout=timeout_s) as answer:
        content: bytes = answer.read()
    return content


def post_json(url: str, body: Any, *, headers: dict[str, str] | None = None, timeout_s: float = TIMEOUT_S) -> Any:
    """The answer's JSON; None where it has no content."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})}, method="POST"
    )
    with _opener.open(request, timeout=timeout_s) as answer:
        content = answer.read()
    return json.loads(content) if content else None


def answers(url: str) -> bool:
    """Does a server give this address without an error?"""
    try:
        get_bytes(url, timeout_s=2.0)
    except OSError:
        return False
    return True


def serves(url: str) -> bool:
    """Does a server answer there, be it with a refusal? (Who has accounts lets nobody in without.)"""
    try:
        get_bytes(url, timeout_s=2.0)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def said_in(error: urllib.error.HTTPError) -> str:
    """The sentence in an error's body, ComfyUI's shape or ours; else the whole body."""
    text = error.read().decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except ValueError:
        return text.strip() or error.reason
    if isinstance(body, dict):
        shown = body.get("detail") or body.get("error")
        return str(shown.get("message") if isinstance(shown, dict) else shown or text)
    return text
