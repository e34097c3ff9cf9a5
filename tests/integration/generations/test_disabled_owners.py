"""What becomes of the work of somebody whose account is disabled."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from fakes.comfyui import ScriptedComfyUI
from integration.backends import both_databases

from sidecar.accounts import desk
from sidecar.accounts.audit import COMMAND_LINE, Wanted
from sidecar.accounts.people import Alteration, NewPerson, Stopped
from sidecar.cluster.bus import Bus
from sidecar.cluster.postgresql import ElectedLeadership
from sidecar.errors import AccountDisabled
from sidecar.generations import stopping
from sidecar.generations.choice import Choice
from sidecar.generations.history import owns_anything
from sidecar.generations.stopping import REASON, stop_all
from sidecar.generations.submissions import Request
from sidecar.identity import uuid7
from sidecar.parts import Parts
from sidecar.tasks import end

from .conftest import FIRST, WORKFLOW, StartSidecar, look_again, submit, until

DISABLED, ENABLED = Alteration(disabled=True), Alteration(disabled=False)


async def add_person(parts: Parts, name: str) -> UUID:
    return (await parts.accounts.people.add(NewPerson(name), COMMAND_LINE)).id


async def submit_of(parts: Parts, owner_id: UUID) -> UUID:
    request = Request(id=uuid7(), owner_id=owner_id, source="page", workflow=WORKFLOW)
    return (await parts.admission.admit(request)).id


async def states_of(parts: Parts, owner_id: UUID, ids: list[UUID]) -> list[str]:
    return [(await parts.history.show(owner_id, generation_id)).state for generation_id in ids]


async def reasons_of(parts: Parts, owner_id: UUID, ids: list[UUID]) -> set[str]:
    """Why they came to where they are."""
    timelines = [await parts.history.timeline(owner_id, generation_id) for generation_id in ids]
    return {timeline.items[-1].reason for timeline in timelines}


@both_databases
async def test_what_waits_is_cancelled_and_what_runs_interrupted_for_good(start_sidecar: StartSidecar):
    """At once, with the reason, and counted; nobody else is concerned, and enabling brings nothing back."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ada = await add_person(parts, "Ada")
        theirs = [await submit_of(parts, ada) for _ in range(4)]
        await until(lambda: len(comfyui.pending) == 2)
        await comfyui.start(str(theirs[0]))
        other = await submit(parts)
        altered = await parts.accounts.people.change(ada, DISABLED, COMMAND_LINE)
        held = await states_of(parts, ada, theirs[2:])
        await until(lambda: comfyui.pending == [str(other)] and not comfyui.running)
        await look_again(parts)
        await parts.accounts.people.change(ada, ENABLED, COMMAND_LINE)
        entries, _ = await parts.accounts.audit.page(Wanted(user_id=ada), limit=9, cursor=None)

        assert altered.stopped == Stopped(cancelled=2, interrupted=2)
        assert held == ["cancelled", "cancelled"]
        assert await states_of(parts, ada, theirs) == ["cancelled"] * 4
        assert await reasons_of(parts, ada, theirs) == {REASON}
        told = [entry.details for entry in entries if entry.action == "account_disabled"]
        assert told == [{"cancelled": 2, "interrupted": 2}]


@pytest.mark.parametrize("look", ["every five seconds", "after a death"])
async def test_who_is_disabled_at_a_terminal_is_interrupted_by_the_sidecar(start_sidecar: StartSidecar, look: str):
    """Nobody told it: it looks for such changes; and reconciling finds what nobody could interrupt yet."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ada = await add_person(parts, "Ada")
        generation_id = await submit_of(parts, ada)
        await until(lambda: comfyui.pending)
        terminal = desk.put_together(parts.database, Bus(), parts.settings, owns_anything, stop_all)
        altered = await terminal.people.change(ada, DISABLED, COMMAND_LINE)
        assert comfyui.pending == [str(generation_id)]
        await (parts.accounts.changes.look() if look == "every five seconds" else look_again(parts))
        await until(lambda: not comfyui.pending)
        await look_again(parts)

        assert altered.stopped == Stopped(interrupted=1)
        assert await states_of(parts, ada, [generation_id]) == ["cancelled"]
        assert await reasons_of(parts, ada, [generation_id]) == {REASON}


async def is_all_cancelled(parts: Parts, owner_id: UUID, ids: list[UUID]) -> bool:
    return set(await states_of(parts, owner_id, ids)) == {"cancelled"}


@both_databases
async def test_however_much_waits_it_is_cancelled_some_at_a_time(idle_parts: Parts, monkeypatch: pytest.MonkeyPatch):
    """
    Each time in a transaction of its own, so that others write in between. From the first one on nothing of it goes;
    whoever leads next goes on where one died, and what is submitted later is not meant.
    """
    monkeypatch.setattr(stopping, "STOPPED_AT_ONCE", 2)
    if isinstance(idle_parts.leadership, ElectedLeadership):
        await idle_parts.leadership._begin()
    ada = await add_person(idle_parts, "Ada")
    theirs = [await submit_of(idle_parts, ada) for _ in range(7)]
    altered = await idle_parts.accounts.people.change(ada, DISABLED, COMMAND_LINE)
    at_once = (await states_of(idle_parts, ada, theirs)).count("cancelled")
    gone = [await idle_parts.turn_giver.give(Choice(each, FIRST)) for each in theirs]
    await idle_parts.accounts.people.change(ada, ENABLED, COMMAND_LINE)
    later = await submit_of(idle_parts, ada)
    later_gone = await idle_parts.turn_giver.give(Choice(later, FIRST))
    some = await idle_parts.interruptions._stop_some()
    after_some = (await states_of(idle_parts, ada, theirs)).count("cancelled")
    running = asyncio.create_task(idle_parts.interruptions.run())
    await until(lambda: is_all_cancelled(idle_parts, ada, theirs))
    await end(running)

    assert altered.stopped == Stopped(cancelled=7)
    assert (at_once, some, after_some) == (2, True, 4)
    assert not any(gone)
    assert later_gone is not None
    assert await reasons_of(idle_parts, ada, theirs) == {REASON}
    assert await states_of(idle_parts, ada, [later]) == ["submitted"]


async def test_who_is_disabled_in_the_moment_in_which_they_submit_gets_nothing_made(idle_parts: Parts):
    """They were let in just before, and everything of theirs was cancelled already."""
    ada, bob = await add_person(idle_parts, "Ada"), await add_person(idle_parts, "Bob")
    await idle_parts.accounts.people.change(ada, DISABLED, COMMAND_LINE)

    with pytest.raises(AccountDisabled):
        await submit_of(idle_parts, ada)
    assert await states_of(idle_parts, bob, [await submit_of(idle_parts, bob)]) == ["pending"]
