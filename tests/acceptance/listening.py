"""How people hear of what happens: ComfyUI's websocket, and the sidecar's event stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Event:
    name: str
    data: dict[str, Any]


@contextmanager
def page_socket(url: str, client_id: str) -> Iterator[ClientConnection]:
    """The websocket that ComfyUI's page opens."""
    address = f"ws{url.removeprefix('http')}/ws?clientId={client_id}"
    with connect(address, proxy=None, max_size=None) as connection:
        yield connection


def hear_until_ended(connection: ClientConnection, prompt_id: str) -> list[Event]:
    """What the page hears of one prompt, from now to its end. Previews, which are binary, are left out."""
    heard: list[Event] = []
    while not heard or heard[-1].name not in ("execution_success", "execution_error", "execution_interrupted"):
        message = connection.recv(PATIENCE_S)
        if isinstance(message, str):
            content = json.loads(message)
            if content["data"].get("prompt_id") == prompt_id:
                heard.append(Event(content["type"], content["data"]))
    return heard


@contextmanager
def event_stream(http: httpx.Client, url: str) -> Iterator[Iterator[Event]]:
    """Server-sent events, as the panel reads them."""
    with http.stream("GET", url, timeout=PATIENCE_S) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield read_events(answer.iter_lines())


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """The part of the format that matters here: https://html.spec.whatwg.org/multipage/server-sent-events.html"""
    name, data = "message", ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data += value
        elif not line and data:
            yield Event(name, json.loads(data))
            name, data = "message", ""
