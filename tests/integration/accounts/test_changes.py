"""Whoever is let in no longer is out in every process, and in what they have open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
from fakes.comfyui import PAIRING_SECRET, ScriptedComfyUI
from integration.generations.conftest import until
from litestar.response import ServerSentEventMessage

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.callers import Role
from sidecar.accounts.credentials import Credentials
from sidecar.accounts.desk import Accounts
from sidecar.accounts.people import Alteration
from sidecar.database import Database
from sidecar.errors import CredentialsInvalid
from sidecar.generations.routes import event_stream
from sidecar.live_events import LiveEvents
from sidecar.parts import put_together
from sidecar.running import running
from sidecar.settings import Settings, read_settings

from .conftest import CHEAP, AddPerson, another_process

WITHIN_S = 30.0
DISABLED = Alteration(disabled=True)


async def test_another_process_finds_a_change_that_nobody_told(
    accounts: Accounts, add_person: AddPerson, database: Database, settings: Settings
):
    """Such as one at a terminal, or one whose news got lost. It hears of each once."""
    ada = await add_person("Ada")
    other = another_process(database, settings)
    heard: list[UUID] = []
    _caller, secret = await other.log_in.begin_session(ada, address="", user_agent="")
    credentials = Credentials("", cookie=secret)
    await other.changes.look()
    await other.recognition.caller_of(credentials)
    other.changes.on(heard.append)
    await accounts.people.change(ada.id, DISABLED, COMMAND_LINE)
    for _ in range(3):
        await other.changes.look()

    assert heard == [ada.id]
    with pytest.raises(CredentialsInvalid):
        await other.recognition.caller_of(credentials)


async def test_what_another_process_tells_is_heard(accounts: Accounts, add_person: AddPerson):
    """At once, by the bus, in the form that it has there."""
    ada = await add_person("Ada")
    heard: list[UUID] = []
    accounts.changes.on(heard.append)
    news = msgspec.json.encode((ada.id, ada.credentials_changed_at))
    await accounts.changes._hear_elsewhere(msgspec.json.decode(news))

    assert heard == [ada.id]


async def test_the_first_administrators_page_is_not_closed_seconds_later(accounts: Accounts):
    """They become somebody who was there before; that is told at once, while nothing of theirs is open."""
    heard: list[UUID] = []
    secret = accounts.first_administrator.instruction().partition("#first=")[2]
    user = await accounts.first_administrator.make(secret, "Root", "a lighthouse at dawn", address="127.0.0.1")
    accounts.changes.on(heard.append)
    await accounts.changes.look()

    assert user.role == Role.ADMIN.value
    assert heard == []


async def test_what_was_told_is_not_found_once_more(accounts: Accounts, add_person: AddPerson):
    """Each time, sockets and streams are closed: once is enough, and whoever is new has none."""
    ada, _bob = await add_person("Ada"), await add_person("Bob")
    heard: list[UUID] = []
    accounts.changes.on(heard.append)
    await accounts.people.change(ada.id, Alteration(role=Role.GUEST), COMMAND_LINE)
    await accounts.changes.look()

    assert heard == [ada.id]


async def test_an_open_event_stream_ends(accounts: Accounts, add_person: AddPerson):
    """The browser opens it again, if it may; other people's go on."""
    ada, bob = await add_person("Ada"), await add_person("Bob")
    live_events = LiveEvents()
    accounts.changes.on(live_events.end_of)
    streams = {user.name: event_stream(live_events, user.id) for user in (ada, bob)}
    for stream in streams.values():
        await anext(stream)
    await accounts.people.change(ada.id, DISABLED, COMMAND_LINE)

    assert await is_over(streams["Ada"])
    assert live_events.heard_by_anybody(bob.id)
    await streams["Bob"].aclose()  # type: ignore[attr-defined]


async def test_a_stream_that_opens_while_somebody_is_being_disabled_does_not_stay(
    accounts: Accounts, add_person: AddPerson
):
    """They were let in a moment before, and nobody listened yet when they were told to go."""
    ada = await add_person("Ada")
    before = 0.0
    stream = event_stream(LiveEvents(), ada.id, is_out=lambda: accounts.recognition.has_changed(ada.id, since=before))
    await accounts.people.change(ada.id, DISABLED, COMMAND_LINE)

    assert await is_over(stream)


async def test_the_pack_is_told_who_is_let_in_and_whose_sockets_to_close(
    accounts: Accounts, add_person: AddPerson, environment: dict[str, str]
):
    """Also what happened while it, or the sidecar, was away."""
    ada, bob = await add_person("Ada"), await add_person("Bob")
    await accounts.people.change(ada.id, DISABLED, COMMAND_LINE)
    async with ScriptedComfyUI().served() as comfyui:
        parts = put_together(
            read_settings(
                {**environment, "GENONAUT_COMFYUI_URL": comfyui.url, "GENONAUT_PAIRING_SECRET": PAIRING_SECRET}
            ),
            CHEAP,
        )
        async with running(parts):
            await until(lambda: closing(ada.id) in comfyui.told)
            await parts.accounts.people.change(bob.id, DISABLED, COMMAND_LINE)
            await until(lambda: closing(bob.id) in comfyui.told)

        assert comfyui.told[0] == {"type": "access", "data": {"access": "accounts"}}


async def is_over(stream: AsyncIterator[ServerSentEventMessage]) -> bool:
    """Does nothing come any more?"""
    try:
        return await asyncio.wait_for(anext(stream), WITHIN_S) is None
    except StopAsyncIteration:
        return True


def closing(user_id: UUID) -> dict[str, Any]:
    return {"type": "callers_changed", "data": {"user_id": str(user_id)}}
