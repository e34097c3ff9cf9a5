"""The tap in ComfyUI's event path."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

from comfy_nodes.event_tap import EventTap, Observer


class Socket:
    """Takes messages while it is open."""

    def __init__(self, *, open_: bool = True) -> None:
        self.closed = False
        self.taken: list[dict[str, Any]] = []
        self.may_take = asyncio.Event()
        if open_:
            self.may_take.set()

    async def send_str(self, text: str) -> None:
        await self.may_take.wait()
        self.taken.append(json.loads(text))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0.005)


async def test_events_are_copied_as_they_were_when_they_were_sent() -> None:
    """ComfyUI goes on changing what it sent; the copy does not change with it. Previews are left out."""
    passed: list[Any] = []
    tap, socket = EventTap(), Socket()
    observer = Observer(socket)  # type: ignore[arg-type] # all that is used of a socket
    tap.observers.append(observer)
    send_sync = tap.wrap(lambda event, data, sid=None: passed.append((event, sid)))
    writer = asyncio.create_task(observer.write())
    nodes = {"value": 1}
    send_sync("progress_state", {"nodes": nodes}, "browser")
    nodes["value"] = 2
    send_sync(1, b"preview", "browser")
    send_sync("status", {}, None)
    await settle()
    writer.cancel()

    assert passed == [("progress_state", "browser"), (1, "browser"), ("status", None)]
    assert [message["data"] for message in socket.taken] == [{"nodes": {"value": 1}}]


async def test_an_overflow_is_told_as_a_gap() -> None:
    """What does not fit is counted; once there is room again, the observer learns how much it missed."""
    socket = Socket(open_=False)
    observer = Observer(socket, most_waiting=10)  # type: ignore[arg-type] # all that is used of a socket
    writer = asyncio.create_task(observer.write())
    for number in range(25):
        observer.offer(json.dumps({"type": "progress", "data": number}))
        await asyncio.sleep(0)
    socket.may_take.set()
    await settle()
    writer.cancel()

    kept = [message["data"] for message in socket.taken if message["type"] == "progress"]
    (gap,) = [message for message in socket.taken if message["type"] == "gap"]
    assert kept == list(range(len(kept)))
    assert gap["data"]["dropped"] == 25 - len(kept) > 0


async def test_events_from_many_threads_all_arrive() -> None:
    """ComfyUI sends from its worker, its loop and others; 5 000 a second are no trouble."""
    tap, socket = EventTap(), Socket()
    observer = Observer(socket)  # type: ignore[arg-type] # all that is used of a socket
    tap.observers.append(observer)
    writer = asyncio.create_task(observer.write())

    def send_many() -> None:
        for _ in range(2000):
            tap.see("progress", {})

    threads = [threading.Thread(target=send_many) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    while len(socket.taken) < 8000 and time.monotonic() - began < 10:
        await asyncio.sleep(0.01)
    writer.cancel()
    for thread in threads:
        thread.join()

    assert len(socket.taken) == 8000


def test_a_tap_that_fails_does_not_keep_the_event_from_comfyui() -> None:
    """Its own trouble is logged; what ComfyUI sends is sent."""
    passed: list[str] = []
    send_sync = EventTap().wrap(lambda event, data, sid=None: passed.append(event))
    send_sync("execution_start", "not an object", None)

    assert passed == ["execution_start"]
