"""Who hears of which prompt, and of how many."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fakes.comfyui_queue import OlderQueue, item, owned
from fakes.knowing_sidecar import id_of, person

from comfy_nodes.caller import calling, read_caller
from comfy_nodes.client_sockets import ClientSockets, OpenSocket
from comfy_nodes.owned_events import OwnedEvents

ADA, BOB = read_caller(person("ada")), read_caller(person("bob"))
ROOT = read_caller(person("root", "admin"))


@pytest.fixture
def sockets() -> ClientSockets:
    return ClientSockets(SimpleNamespace(sockets={}))


@pytest.fixture
def heard(sockets: ClientSockets) -> Any:
    """Ada, Bob and an administrator listen, Ada with two browsers; Bob's prompt runs, Ada's waits."""
    for client_id, caller in (("ada 1", ADA), ("ada 2", ADA), ("bob", BOB), ("root", ROOT)):
        sockets._open.add(OpenSocket(client_id, caller, None))
    queue = owned(OlderQueue())
    queue.put(item(1, "of bob", id_of("bob")))
    queue.get()
    queue.put(item(2, "of ada", id_of("ada")))
    return OwnedEvents(queue, sockets)


PICTURE = ("JPEG", object(), 512)


@pytest.mark.parametrize(
    ("event", "data", "client_id", "hear"),
    [
        ("status", {"status": {}, "sid": "bob"}, "bob", ["bob"]),
        ("progress", {"prompt_id": "of bob"}, "bob", ["bob"]),
        ("progress", {"prompt_id": "of bob"}, "ada 1", []),
        ("progress", {"prompt_id": "of bob"}, "gone", ["gone"]),
        ("progress", {"prompt_id": "of ada"}, "ada 2", ["ada 2"]),
        ("progress", {"prompt_id": "forgotten"}, "ada 2", ["ada 2"]),
        ("progress_state", {"prompt_id": "of bob", "nodes": {}}, None, ["bob"]),
        ("execution_interrupted", {"prompt_id": "of ada"}, None, ["ada 1", "ada 2"]),
        (4, (PICTURE, {"prompt_id": "of bob"}), None, ["bob"]),
        (4, (PICTURE, {"prompt_id": "of bob"}), "ada 1", []),
        (2, PICTURE, None, ["bob"]),
        (3, b"\x00\x00\x00\x01" + b"1text", None, ["bob"]),
        ("some.pack", {"text": "private"}, None, ["bob"]),
        ("logs", {"entries": []}, "root", ["root"]),
        ("logs", {"entries": []}, "ada 1", []),
    ],
)
def test_events_go_to_the_owner_of_their_prompt(
    heard: OwnedEvents, event: Any, data: Any, client_id: str | None, hear: list[str]
) -> None:
    """Also those that ComfyUI would send to every browser, and those that name no prompt while one runs."""
    assert heard.letters(event, data, client_id) == [(listener, data) for listener in hear]


@pytest.fixture
def reviewed(sockets: ClientSockets) -> Any:
    """The same; what Bob's prompt makes, administrators look at first."""
    for client_id, caller in (("ada", ADA), ("bob", BOB), ("root", ROOT)):
        sockets._open.add(OpenSocket(client_id, caller, None))
    queue = owned(OlderQueue())
    entry = item(1, "of bob", id_of("bob"))
    entry[3]["genonaut"]["review"] = True
    queue.put(entry)
    queue.get()
    queue.put(item(2, "of ada", id_of("ada")))
    return OwnedEvents(queue, sockets)


@pytest.mark.parametrize(
    ("event", "data", "client_id", "hear"),
    [
        ("progress_state", {"prompt_id": "of bob", "nodes": {}}, "bob", ["bob"]),
        ("execution_success", {"prompt_id": "of bob"}, None, ["bob"]),
        ("status", {"status": {}, "sid": "bob"}, "bob", ["bob"]),
        (1, PICTURE, "bob", []),
        (2, PICTURE, None, []),
        (3, b"1text", "bob", []),
        (4, (PICTURE, {"prompt_id": "of bob"}), "bob", []),
        (4, (PICTURE, {"prompt_id": "of bob"}), "gone", []),
        ("some.pack", {"picture": "base64"}, None, []),
        ("some.pack", {"prompt_id": "of bob", "picture": "base64"}, "bob", []),
        ("some.pack", {"text": "of hers"}, "ada", ["ada"]),
        (4, (PICTURE, {"prompt_id": "of ada"}), "ada", ["ada"]),
        (2, PICTURE, "root", ["root"]),
    ],
)
def test_of_a_prompt_under_review_its_owner_hears_how_it_goes_and_sees_nothing(
    reviewed: OwnedEvents, event: Any, data: Any, client_id: str | None, hear: list[str]
) -> None:
    """No previews, named or not, and nothing that other packs tell of it; administrators see all, others their own."""
    assert reviewed.letters(event, data, client_id) == [(listener, data) for listener in hear]


def test_of_what_a_prompt_under_review_has_made_its_owner_is_told_nothing(reviewed: OwnedEvents) -> None:
    """In the shape that pages expect, so that they draw no broken picture."""
    output = {"images": [{"filename": "a.png"}], "animated": (True,)}
    told = {"prompt_id": "of bob", "node": "9", "output": output}

    assert reviewed.letters("executed", told, "bob") == [("bob", {**told, "output": {"images": [], "animated": []}})]
    assert reviewed.letters("executed", {**told, "output": None}, "bob")[0][1]["output"] == {}
    assert output["images"] == [{"filename": "a.png"}]  # the sidecar is told of the same event


def test_everybody_is_told_how_many_of_their_own_remain(heard: OwnedEvents) -> None:
    """Pages and programs go on when none does, whatever others have queued."""
    told = heard.letters("status", {"status": {"exec_info": {"queue_remaining": 2}}}, None)

    assert {client_id: data["status"]["exec_info"]["queue_remaining"] for client_id, data in told} == {
        "ada 1": 1,
        "ada 2": 1,
        "bob": 1,
        "root": 0,
    }


def told(heard: OwnedEvents) -> dict[str, int]:
    letters = heard.letters("status", {"status": {}}, None)
    return {client_id: data["status"]["exec_info"]["queue_remaining"] for client_id, data in letters}


async def greet(heard: OwnedEvents, client_id: str) -> Any:
    """As ComfyUI does with whoever connects."""
    return await pass_on(heard, client_id, {"status": {}, "sid": client_id})


async def pass_on(heard: OwnedEvents, client_id: str, data: Any) -> Any:
    """As ComfyUI does with what is told to one client, now or by way of ``send_sync``."""
    sent: list[Any] = []

    async def send(_event: Any, data: Any, _client_id: str) -> None:
        sent.append(data)

    await heard.wrap_send(send)("status", data, client_id)
    return sent


async def test_whoever_connects_is_told_at_once_and_of_what_others_do_nothing(sockets: ClientSockets) -> None:
    """A status tells that something of one's own has changed: that it is there, that it runs, that it is gone."""
    queue = owned(OlderQueue())
    heard = OwnedEvents(queue, sockets)
    for client_id, caller in (("ada", ADA), ("bob", BOB)):
        sockets._open.add(OpenSocket(client_id, caller, None))
    greeted = await greet(heard, "ada") + await greet(heard, "bob")
    before = told(heard)
    queue.put(item(1, "of bob", id_of("bob")))
    put = told(heard)
    queue.put(item(2, "of ada", id_of("ada")))
    both = told(heard)
    queue.get()
    started = told(heard)
    queue.task_done(0, {"outputs": {}})

    assert [(data["sid"], data["status"]["exec_info"]["queue_remaining"]) for data in greeted] == [
        ("ada", 0),
        ("bob", 0),
    ]
    assert (before, put, both, started) == ({}, {"bob": 1}, {"ada": 1}, {"bob": 1})
    assert told(heard) == {"bob": 0}


async def test_a_page_that_was_told_before_it_was_greeted_is_told_once_more(heard: OwnedEvents) -> None:
    """Both are on their way, and nobody knows which one comes last."""
    told(heard)
    await greet(heard, "ada 1")
    again = told(heard)
    status = {"status": {"exec_info": {"queue_remaining": 1}}}

    assert again == {"ada 1": 1}
    assert await pass_on(heard, "ada 1", status) == [status]
    assert told(heard) == {}


def test_what_belongs_to_no_prompt_goes_to_whoever_asked_or_to_the_administrators(
    sockets: ClientSockets, heard: OwnedEvents
) -> None:
    """Such as the Manager's progress, which runs in a thread of its own."""
    idle = OwnedEvents(owned(OlderQueue()), sockets)
    with calling(ADA):
        asked = heard.letters("some.pack", {}, None)

    assert asked == [("ada 1", {}), ("ada 2", {})]
    assert idle.letters("cm-queue-status", {}, None) == [("root", {})]


async def test_the_wraps_send_to_those_and_never_raise(heard: OwnedEvents, caplog: pytest.LogCaptureFixture) -> None:
    """ComfyUI's worker calls one of them without a net; the other is for packs that broadcast past it."""
    sent: list[Any] = []

    async def send(*args: Any) -> None:
        sent.append(args)

    send_sync = heard.wrap_send_sync(lambda *args: sent.append(args))
    send_sync("progress", {"prompt_id": "of ada"})
    send_sync("progress", {"prompt_id": ["unhashable"]}, "bob")
    await heard.wrap_send(send)("some.pack", {})
    await heard.wrap_send(send)("executing", {"node": "1"}, "ada 1")
    broken = OwnedEvents(SimpleNamespace(whose=None), heard._sockets)
    broken.wrap_send_sync(lambda *args: sent.append(args))("progress", {"prompt_id": "x"}, "bob")

    assert [args[2] for args in sent] == ["ada 1", "ada 2", "bob", "bob", "ada 1"]
    assert len([record for record in caplog.records if "nobody gets it" in record.message]) == 1
