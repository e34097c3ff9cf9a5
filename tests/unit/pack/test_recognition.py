"""Who is asking, and how often the sidecar is asked about it."""

from __future__ import annotations

import asyncio
import time
import traceback
from typing import Any

import pytest
from fakes.knowing_sidecar import KnowingSidecar, id_of, person

from comfy_nodes.caller import CALLER, LOCAL_OWNER, calling, only_theirs, read_caller
from comfy_nodes.credentials import Credentials
from comfy_nodes.recognition import Callers
from comfy_nodes.sidecar_client import SidecarAway, SidecarRefused

ADA, BOB = Credentials(cookies={"genonaut_session": "ada"}), Credentials(authorization="Bearer bob")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


async def test_a_page_that_asks_for_fifty_things_at_once_is_asked_about_once(
    callers: Callers, sidecar: KnowingSidecar
) -> None:
    """Together and afterwards, for as long as the answer is good."""
    await asyncio.gather(*(callers.find(ADA) for _ in range(50)))
    found = await callers.find(ADA)

    assert found.name == "ada"
    assert len(sidecar.questions) == 1


async def test_people_are_not_taken_for_each_other(callers: Callers) -> None:
    """Whatever they show, and however close together they come."""
    found = await asyncio.gather(*(callers.find(who) for who in (ADA, BOB, ADA, BOB)))

    assert [caller.name for caller in found] == ["ada", "bob", "ada", "bob"]


async def test_an_answer_is_good_for_seconds(callers: Callers, sidecar: KnowingSidecar, clock: list[float]) -> None:
    """Then the sidecar is asked again, and may say something else."""
    await callers.find(ADA)
    clock[0] += 11
    sidecar.people["ada"] = person("ada", "guest")

    assert (await callers.find(ADA)).is_guest


async def test_who_is_refused_is_not_asked_about_again_at_once(
    callers: Callers, sidecar: KnowingSidecar, clock: list[float]
) -> None:
    """A page without a session asks for dozens of things; but who has just been let in does not wait long."""
    stranger = Credentials(cookies={"genonaut_session": "stranger"})
    for _ in range(3):
        with pytest.raises(SidecarRefused):
            await callers.find(stranger)
    clock[0] += 2.1
    sidecar.people["stranger"] = person("eve")

    assert (await callers.find(stranger)).name == "eve"
    assert len(sidecar.questions) == 2


async def test_who_is_disabled_is_out_at_once(callers: Callers, sidecar: KnowingSidecar) -> None:
    """The sidecar says whom to forget, and only they are asked about anew."""
    await asyncio.gather(callers.find(ADA), callers.find(BOB))
    del sidecar.people["ada"]
    callers.forget(id_of("ada"))
    with pytest.raises(SidecarRefused):
        await callers.find(ADA)

    assert (await callers.find(BOB)).name == "bob"
    assert len(sidecar.questions) == 3


async def test_an_answer_that_was_on_its_way_when_it_changed_is_not_remembered(
    callers: Callers, sidecar: KnowingSidecar
) -> None:
    """It says what was the case before."""
    asking = asyncio.create_task(callers.find(ADA))
    while not sidecar.questions:
        await asyncio.sleep(0)
    callers.forget(None)
    await asking
    del sidecar.people["ada"]

    with pytest.raises(SidecarRefused):
        await callers.find(ADA)


async def test_one_who_goes_away_does_not_take_the_answer_from_the_others(callers: Callers) -> None:
    """A browser that closes a tab cancels its own wait only."""
    first, second = asyncio.create_task(callers.find(ADA)), asyncio.create_task(callers.find(ADA))
    await asyncio.sleep(0)
    first.cancel()

    assert (await second).name == "ada"


async def test_while_the_sidecar_is_away_nobody_is_let_in(
    callers: Callers, sidecar: KnowingSidecar, clock: list[float]
) -> None:
    """What it said is good for as long as it said, and no longer."""
    await callers.find(ADA)
    sidecar.is_away = True
    assert (await callers.find(ADA)).name == "ada"
    clock[0] += 11

    with pytest.raises(SidecarAway):
        await callers.find(ADA)


async def test_by_setting_those_whom_it_knew_go_on(sidecar: KnowingSidecar, clock: list[float]) -> None:
    """For hours, and only they; who was disabled in the meantime before it went away is not among them."""
    callers = Callers(sidecar, known_outlast=True)  # type: ignore[arg-type] # all that is used of it
    await asyncio.gather(callers.find(ADA), callers.find(BOB))
    callers.forget(id_of("bob"))
    sidecar.is_away = True
    clock[0] += 3600

    assert (await callers.find(ADA)).name == "ada"
    for nobody in (BOB, Credentials(cookies={"genonaut_session": "root"})):
        with pytest.raises(SidecarAway):
            await callers.find(nobody)


async def test_who_was_refused_before_it_went_away_does_not_go_on(sidecar: KnowingSidecar, clock: list[float]) -> None:
    """Also when nobody said that something had changed."""
    callers = Callers(sidecar, known_outlast=True)  # type: ignore[arg-type] # all that is used of it
    await callers.find(ADA)
    clock[0] += 11
    del sidecar.people["ada"]
    with pytest.raises(SidecarRefused):
        await callers.find(ADA)
    sidecar.is_away = True
    clock[0] += 11

    with pytest.raises(SidecarAway):
        await callers.find(ADA)


def test_what_belongs_to_nobody_belongs_to_no_person() -> None:
    """Only in open access everything is the local owner's."""
    ada = read_caller(person("ada"))

    assert [ada.owns(owner) for owner in (id_of("ada"), id_of("bob"), "", None)] == [True, False, False, False]
    assert LOCAL_OWNER.owns(None)


@pytest.mark.parametrize("wrong", [{"user_id": "__system"}, {"user_id": "../ada"}, {"user_id": 7}, {"scopes": None}])
def test_what_is_not_our_sidecar_is_nobody(wrong: dict[str, Any]) -> None:
    """Ids name folders, so they are UUIDs; a description that is none is nobody's."""
    with pytest.raises(SidecarAway):
        read_caller({**person("ada"), **wrong})


def test_only_a_person_is_shown_only_what_is_theirs() -> None:
    """ComfyUI's worker and the sidecar, and in open access everybody, see all of it."""
    ada = read_caller(person("ada"))
    seen = [only_theirs()]
    for caller in (LOCAL_OWNER, ada, None):
        with calling(caller):
            seen.append(only_theirs())

    assert seen == [None, None, ada, None]
    assert CALLER.get() is None


@pytest.mark.parametrize(
    ("credentials", "by_themselves"),
    [
        (Credentials(cookies={"genonaut_session": "x"}), True),
        (Credentials(authorization="Basic eDp5"), True),
        (Credentials(forwarded_user="x"), True),
        (Credentials(authorization="bearer x"), False),
        (Credentials(token="x"), False),
        (Credentials(token="x", cookies={"genonaut_session": "y"}), False),  # the token counts, and must be good
        (Credentials(token="x", forwarded_user="y"), True),  # the proxy's word counts
        (Credentials(), False),
    ],
)
def test_browsers_send_some_credentials_whoever_asks(credentials: Credentials, *, by_themselves: bool) -> None:
    """Those prove nothing about the page that asked."""
    assert credentials.come_by_themselves is by_themselves


async def test_who_comes_from_elsewhere_is_asked_about_anew(callers: Callers, sidecar: KnowingSidecar) -> None:
    """The sidecar counts guesses by address, also by that which a proxy tells."""
    for forwarded_for in (None, "192.0.2.7", "198.51.100.9", "192.0.2.7"):
        await callers.find(Credentials(authorization="Bearer ada", forwarded_for=forwarded_for))

    assert [question["forwarded_for"] for question in sidecar.questions] == [None, "192.0.2.7", "198.51.100.9"]


async def test_a_refusal_that_is_remembered_remembers_nothing_of_who_was_refused(callers: Callers) -> None:
    """Or whoever asks a thousand times with nobody's cookie would fill the memory with a thousand requests."""

    async def refused() -> int:
        with pytest.raises(SidecarRefused) as told:
            await callers.find(Credentials(cookies={"genonaut_session": "nobody's"}))
        return len(list(traceback.walk_tb(told.value.__traceback__)))

    await refused()

    assert await refused() == await refused()
