"""Deleting what the sidecar holds, in small and in large numbers."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from comfy_nodes import held_prompts
from comfy_nodes.held_canceller import HeldCanceller
from comfy_nodes.held_prompts import HeldPrompt, HeldPrompts
from comfy_nodes.sidecar_client import SidecarAway, SidecarRefused

MOST_TOLD, CLEARED_AT_ONCE = 1000, 500


class HoldingSidecar:
    """Holds prompts, tells the first thousand of them, and cancels one at a time, or the first hundreds that wait."""

    def __init__(self, held: HeldPrompts, count: int, *, created_at_ms: int = 0) -> None:
        self.holds = {str(number): HeldPrompt(str(number), number, None, created_at_ms) for number in range(count)}
        self.cancelled: list[str] = []
        self.owners: set[str | None] = set()
        self.shown: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.fails: Exception | None = None
        self._held = held

    def tell(self) -> None:
        self._held.replace(list(self.holds.values())[:MOST_TOLD], len(self.holds))

    async def clear(self, *, owner_id: str | None, through: int | None, shown: list[str]) -> tuple[int, bool]:
        self.shown = shown
        if self.fails is not None:
            raise self.fails
        own = [prompt for prompt in self.holds.values() if prompt.owner_id == owner_id]
        through = max(int(prompt.number) for prompt in own) if through is None else through
        await asyncio.sleep(0)
        cleared = [prompt.prompt_id for prompt in own if prompt.number <= through][:CLEARED_AT_ONCE]
        for prompt_id in cleared:
            await self.cancel(prompt_id, owner_id=owner_id)
        return through, len(cleared) == CLEARED_AT_ONCE

    async def cancel(self, prompt_id: str, *, owner_id: str | None) -> None:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.fails is not None:
            raise self.fails
        self.holds.pop(prompt_id, None)
        self.cancelled.append(prompt_id)
        self.owners.add(owner_id)


def canceller_for(sidecar: Any, held: HeldPrompts) -> HeldCanceller:
    server = SimpleNamespace(loop=asyncio.get_running_loop(), queue_updated=lambda: None)
    canceller = HeldCanceller(server, sidecar, held)
    held.on_told = canceller.list_was_told
    return canceller


async def settle(sidecar: HoldingSidecar) -> None:
    """Wait until nothing is cancelled any more."""
    before = -1
    while len(sidecar.cancelled) != before:
        before = len(sidecar.cancelled)
        await asyncio.sleep(0.02)


def ids(held: HeldPrompts) -> list[str]:
    return [prompt.prompt_id for prompt in held.now()]


async def test_clear_reaches_also_what_the_list_was_too_short_for() -> None:
    """The sidecar tells a thousand, and cancels whatever it holds."""
    held = HeldPrompts()
    sidecar = HoldingSidecar(held, 2500)
    canceller = canceller_for(sidecar, held)
    sidecar.tell()
    canceller.clear()
    await settle(sidecar)
    sidecar.tell()

    assert len(sidecar.cancelled) == len(set(sidecar.cancelled)) == 2500
    assert sidecar.most_at_once == 1
    assert held.count() == 0


async def test_somebody_clears_what_is_theirs() -> None:
    """Also what the list was too short for; the sidecar hears whose it is. Everybody else's stays."""
    held = HeldPrompts()
    sidecar = HoldingSidecar(held, 0)
    owners = {str(number): "ada" if number % 2 else "bob" for number in range(1500)}
    sidecar.holds = {key: HeldPrompt(key, int(key), None, 0, owner_id=owner) for key, owner in owners.items()}
    canceller = canceller_for(sidecar, held)
    sidecar.tell()
    canceller.clear("ada")
    await settle(sidecar)
    sidecar.tell()

    assert sorted(sidecar.cancelled, key=int) == [key for key, owner in owners.items() if owner == "ada"]
    assert sidecar.owners == {"ada"}
    assert held.count() == 750


async def test_the_sidecar_hears_what_was_seen_waiting_when_somebody_cleared() -> None:
    """Some of that may have been let go meanwhile. What ComfyUI has already was not waiting, and goes on."""
    held = HeldPrompts()
    sidecar = HoldingSidecar(held, 3)
    canceller = canceller_for(sidecar, held)
    sidecar.tell()
    canceller.clear(None, {"0"})
    await settle(sidecar)

    assert sidecar.shown == ["1", "2"]


async def test_what_is_posted_after_clear_stays() -> None:
    """Clear is for what was there at that moment."""
    held = HeldPrompts()
    sidecar = HoldingSidecar(held, 1500)
    canceller = canceller_for(sidecar, held)
    sidecar.tell()
    canceller.clear()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sidecar.holds["later"] = HeldPrompt("later", 1501, None, 0)
    await settle(sidecar)
    sidecar.tell()

    assert list(sidecar.holds) == ids(held) == ["later"]


async def test_who_clears_twice_has_cleared_twice() -> None:
    """What came between the two is no longer held either, though the first one was not over."""
    held = HeldPrompts()
    sidecar = HoldingSidecar(held, 1500)
    canceller = canceller_for(sidecar, held)
    canceller.clear()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sidecar.holds["between"] = HeldPrompt("between", 1501, None, 0)
    canceller.clear()
    await settle(sidecar)

    assert sidecar.holds == {}


async def test_what_waits_to_be_cancelled_does_not_come_back_with_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the ones before it take."""
    monkeypatch.setattr(held_prompts, "OWN_ENTRY_SURVIVES_S", 0)
    held = HeldPrompts()
    sidecar = HoldingSidecar(held, 3)
    canceller = canceller_for(sidecar, held)
    sidecar.tell()
    monkeypatch.setattr(held_prompts, "OWN_ENTRY_SURVIVES_S", 0.001)
    canceller.cancel(*held.now())
    time.sleep(0.002)
    monkeypatch.setattr(held_prompts, "OWN_ENTRY_SURVIVES_S", 5)
    sidecar.tell()

    assert ids(held) == []
    await settle(sidecar)
    assert sidecar.cancelled == ["0", "1", "2"]


async def test_what_could_not_be_cancelled_is_shown_again() -> None:
    """The sidecar went away in the middle: it still holds them all, and is not asked a thousand times more."""
    held = HeldPrompts()
    sidecar = HoldingSidecar(held, 3)
    sidecar.fails = SidecarAway("it did not answer in time")
    canceller = canceller_for(sidecar, held)
    sidecar.tell()
    canceller.clear()
    before = ids(held)
    await settle(sidecar)
    await asyncio.sleep(0.02)

    assert before == []
    assert ids(held) == ["0", "1", "2"]


async def test_a_refusal_keeps_nobody_from_being_cancelled() -> None:
    """It has ended already; the next one is asked for all the same."""
    held = HeldPrompts()
    sidecar = HoldingSidecar(held, 1)
    sidecar.fails = SidecarRefused(409, "ended", "It has ended.", None)
    canceller = canceller_for(sidecar, held)
    sidecar.tell()
    canceller.cancel(*held.now())
    await asyncio.sleep(0.02)
    sidecar.fails = None
    canceller.cancel(HeldPrompt("next", 1, None, 0))
    await settle(sidecar)

    assert sidecar.cancelled == ["next"]
    assert ids(held) == []
