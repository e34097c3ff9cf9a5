"""What a browser hears while it listens."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from fakes.comfyui import ScriptedComfyUI

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.generations import routes
from sidecar.generations.routes import event_stream
from sidecar.live_events import LiveEvents
from sidecar.parts import Parts

from .conftest import StartSidecar, submit, until, until_state


async def heard_states(parts: Parts, *, until_state: str) -> list[str]:
    """The states that a listener hears of, up to one of them."""
    states: list[str] = []
    async for message in event_stream(parts.live_events, LOCAL_OWNER_ID):
        if message.event == "generation":
            states.append(msgspec.json.decode(str(message.data))["state"])
            if states[-1] == until_state:
                break
        elif message.event == "hello":
            states.append("hello")
    return states


async def test_a_listener_hears_hello_and_then_every_state(start_sidecar: StartSidecar):
    """`hello` first: what happened before it must be read from the list."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        listening = asyncio.create_task(heard_states(parts, until_state="completed"))
        await asyncio.sleep(0)
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.start(str(generation_id))
        await until_state(parts, generation_id, "running")
        await comfyui.finish(str(generation_id))
        states = await asyncio.wait_for(listening, 30)

        assert states[0] == "hello"
        # A process that has just begun to lead says hello once more.
        changes = [state for state in states if state != "hello"]
        assert list(dict.fromkeys(changes)) == ["pending", "submitted", "running", "completed"]


async def test_a_listener_that_falls_behind_is_told_to_read_anew(start_sidecar: StartSidecar):
    """A browser that sleeps costs a bounded queue, and no event is passed over in silence."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        stream = event_stream(parts.live_events, LOCAL_OWNER_ID)
        first = await stream.__anext__()
        generation_id = await submit(parts)
        for _ in range(600):
            await parts.history.announce(generation_id)
        following = await stream.__anext__()
        await stream.aclose()  # type: ignore[attr-defined]

        assert (first.event, following.event) == ("hello", "hello")


async def test_a_stream_ends_after_a_while(monkeypatch: pytest.MonkeyPatch):
    """Sessions and tokens end by themselves, too, and nobody tells: whoever comes again is asked again."""
    monkeypatch.setattr(routes, "STREAM_LASTS_S", 0.0)

    assert [message.event async for message in event_stream(LiveEvents(), LOCAL_OWNER_ID)] == ["hello"]


async def test_every_stream_ends_when_the_process_stops(start_sidecar: StartSidecar):
    """Also one that is far behind; else the server would wait for its browsers."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        stream = event_stream(parts.live_events, LOCAL_OWNER_ID)
        await stream.__anext__()
        generation_id = await submit(parts)
        for _ in range(600):
            await parts.history.announce(generation_id)
        parts.live_events.end()
        rest = [message.event async for message in stream]

        assert len(rest) < 600
