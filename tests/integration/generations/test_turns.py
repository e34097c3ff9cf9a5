"""Whose turn it is, and where, on a database: as the dispatcher asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fakes.people import somebody
from integration.backends import both_databases, with_postgresql

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.catalog.snapshot import InstanceListing, KnownModel, Snapshot
from sidecar.comfyui.model_lists import ModelKind
from sidecar.errors import LeadershipLost
from sidecar.generations import line, turn_giving, turns
from sidecar.generations.choice import Choice
from sidecar.generations.models import Generation
from sidecar.generations.submissions import Request
from sidecar.generations.turns import AWAITED_AT_MOST_S, look_ahead
from sidecar.identity import now, uuid7
from sidecar.instances.models import Connection, Instance, Wanted
from sidecar.parts import Parts

from .conftest import FIRST, SECOND, WORKFLOW, loading, show, submit


async def make(idle_parts: Parts, instance_id: UUID, **facts: Any) -> None:
    async with idle_parts.database.writing() as session:
        instance = await session.get_one(Instance, instance_id)
        for name, value in facts.items():
            setattr(instance, name, value)


async def timed_out(idle_parts: Parts, instance_id: UUID, *, before_s: float = 0.0) -> UUID:
    """One that was posted there, and nobody knows whether it arrived."""
    generation_id = await submit(idle_parts)
    async with idle_parts.database.writing() as session:
        generation = await session.get_one(Generation, generation_id)
        generation.instance_id = instance_id
        generation.not_before = now() - timedelta(seconds=before_s)
    return generation_id


async def next_one(idle_parts: Parts) -> tuple[UUID, UUID] | None:
    """What goes where."""
    async with idle_parts.database.reading() as session:
        choices = (await look_ahead(session, idle_parts.catalog.snapshot, idle_parts.plans, at=now())).choices
    return (choices[0].generation_id, choices[0].instance_id) if choices else None


@pytest.mark.parametrize(
    "facts",
    [
        {"rests_until": now() + timedelta(hours=1)},
        {"wanted": Wanted.DRAINING.value},
        {"wanted": Wanted.PAUSED.value},
        {"set_aside_at": now()},
    ],
    ids=["rests", "draining", "paused", "set aside"],
)
async def test_what_an_instance_may_have_that_gets_nothing_now_goes_nowhere_else(
    idle_parts: Parts, facts: dict[str, Any]
):
    """It would run twice. Those behind it do not wait with it."""
    await timed_out(idle_parts, FIRST)
    other = await submit(idle_parts)
    await make(idle_parts, FIRST, **facts)

    assert await next_one(idle_parts) == (other, SECOND)


async def test_what_an_instance_may_have_that_is_away_goes_elsewhere(idle_parts: Parts):
    """Nobody can ask it; should it come back with it, it is taken out of it."""
    waiting = await timed_out(idle_parts, FIRST)
    await make(idle_parts, FIRST, state=Connection.AWAY.value)

    assert await next_one(idle_parts) == (waiting, SECOND)


@both_databases
async def test_nobody_waits_for_ever_for_an_instance_that_gets_nothing(idle_parts: Parts):
    """If a paused one had it, it had been seen there long ago."""
    waiting = await timed_out(idle_parts, FIRST, before_s=AWAITED_AT_MOST_S + 1)
    await make(idle_parts, FIRST, wanted=Wanted.PAUSED.value)

    assert await next_one(idle_parts) == (waiting, SECOND)


async def test_what_an_instance_may_have_goes_there_again_when_it_has_rested(idle_parts: Parts):
    """There it runs once, whether it arrived or not."""
    waiting = await timed_out(idle_parts, FIRST)
    await make(idle_parts, FIRST, rests_until=now() - timedelta(seconds=1))

    assert await next_one(idle_parts) == (waiting, FIRST)


@with_postgresql
async def test_only_the_process_that_leads_takes_turns(idle_parts: Parts):
    """Two that did would send one generation to two ComfyUIs."""
    generation_id = await submit(idle_parts)
    idle_parts.leadership.term = None

    with pytest.raises(LeadershipLost):
        await idle_parts.turn_giver.give(Choice(generation_id, FIRST))
    assert (await show(idle_parts, generation_id)).state == "pending"


@pytest.fixture
def two_models(idle_parts: Parts) -> None:
    """Each instance has a checkpoint of its own."""
    here = (known("first.safetensors", FIRST), known("second.safetensors", SECOND))
    listings = (InstanceListing(instance_id=FIRST), InstanceListing(instance_id=SECOND))
    idle_parts.catalog.snapshot = Snapshot((1, 2), here, listings)


def known(checkpoint: str, instance_id: UUID) -> KnownModel:
    return KnownModel(uuid7(), ModelKind.CHECKPOINT, checkpoint, True, now(), now(), (instance_id,))


@pytest.mark.usefixtures("two_models")
@pytest.mark.parametrize("pages", [(20,), (2, 3)], ids=["one page", "several pages"])
async def test_an_idle_instance_gets_what_it_can_do_however_many_wait_before_it(
    idle_parts: Parts, monkeypatch: pytest.MonkeyPatch, pages: tuple[int, ...]
):
    """All that only a busy one can do stands before it."""
    monkeypatch.setattr(line, "PAGES", pages)
    busy = [await submit(idle_parts, loading("first.safetensors")) for _ in range(12)]
    idle = [await submit(idle_parts, loading("second.safetensors")) for _ in range(3)]
    async with idle_parts.database.reading() as session:
        outlook = await look_ahead(session, idle_parts.catalog.snapshot, idle_parts.plans, at=now())

    assert [choice.generation_id for choice in outlook.choices] == [*busy[:2], *idle[:2]]
    assert [choice.instance_id for choice in outlook.choices] == [FIRST, FIRST, SECOND, SECOND]


@pytest.mark.usefixtures("two_models")
async def test_who_looks_far_does_so_now_and_then(idle_parts: Parts, monkeypatch: pytest.MonkeyPatch):
    """To read thousands after each step of a sampler would leave time for little else; nobody is forgotten by that."""
    monkeypatch.setattr(line, "PAGES", (2, 3))
    monkeypatch.setattr(turns, "NEAR_AT_MOST", 2)
    monkeypatch.setattr(line, "NEAR_AT_MOST", 2)
    monkeypatch.setattr(turn_giving, "FAR_LOOKS_ARE_ONE_IN", 1_000_000)
    for _ in range(6):
        await submit(idle_parts, loading("first.safetensors"))
    first, second = await idle_parts.turn_giver.look(), await idle_parts.turn_giver.look()

    assert (first.looked_at, first.is_whole) == (6, True)
    assert (second.looked_at, second.is_whole) == (2, False)
    assert idle_parts.turn_giver.rest_s
    idle_parts.turn_giver._far_again_at = 0.0
    assert (await idle_parts.turn_giver.look()).is_whole


@pytest.mark.usefixtures("two_models")
async def test_why_somebody_waits_is_written_down_once(idle_parts: Parts):
    """Thousands may wait for a model, and somebody looks after everything that happens."""
    await make(idle_parts, FIRST, name="upstairs", wanted=Wanted.PAUSED.value)
    waiting = await submit(idle_parts, loading("first.safetensors"))
    await idle_parts.dispatcher._fill()
    told = await show(idle_parts, waiting)
    await idle_parts.dispatcher._fill()
    later = await show(idle_parts, waiting)
    await make(idle_parts, FIRST, wanted=Wanted.ACTIVE.value)
    await make(idle_parts, FIRST, rests_until=now() + timedelta(hours=1))
    await idle_parts.dispatcher._fill()

    reason = "No ComfyUI that can work now has first.safetensors. It waits for upstairs (paused)."
    assert told.waiting_reason == reason
    assert later.updated_at == told.updated_at
    assert (await show(idle_parts, waiting)).waiting_reason is None


CUSTOM = {**WORKFLOW, "3": {"class_type": "Upscaler", "inputs": {"image": ["1", 0]}}}


@pytest.fixture
def a_custom_node(idle_parts: Parts) -> None:
    """The second instance lacks a node that the first one has."""
    common = frozenset({"EmptyImage", "SaveImage"})
    listings = (
        InstanceListing(instance_id=FIRST, node_classes=common | {"Upscaler"}),
        InstanceListing(instance_id=SECOND, node_classes=common),
    )
    idle_parts.catalog.snapshot = Snapshot((1, 2), (), listings)


@both_databases
@pytest.mark.usefixtures("a_custom_node")
async def test_a_workflow_goes_only_where_its_nodes_are_known(idle_parts: Parts):
    """Anywhere else it would fail; and it stands in nobody's way."""
    custom = [await submit(idle_parts, CUSTOM) for _ in range(3)]
    plain = await submit(idle_parts)
    async with idle_parts.database.reading() as session:
        choices = (await look_ahead(session, idle_parts.catalog.snapshot, idle_parts.plans, at=now())).choices

    assert {choice.generation_id: choice.instance_id for choice in choices} == {
        custom[0]: FIRST,
        custom[1]: FIRST,
        plain: SECOND,
    }


@pytest.mark.usefixtures("a_custom_node")
async def test_who_waits_for_a_node_is_told_so(idle_parts: Parts):
    """And for whom: the ComfyUI that knows it is not there."""
    await make(idle_parts, FIRST, name="upstairs", wanted=Wanted.PAUSED.value)
    waiting = await submit(idle_parts, CUSTOM)
    await idle_parts.dispatcher._fill()

    told = (await show(idle_parts, waiting)).waiting_reason
    assert told == "No ComfyUI that can work now has the node Upscaler. It waits for upstairs (paused)."


@both_databases
async def test_who_goes_in_front_does_so_among_their_own(idle_parts: Parts):
    """It has the turn of their first one, which has that of the second one, and so on: nobody else waits longer."""
    other_owner = uuid7()
    async with idle_parts.database.writing() as session:
        session.add(somebody(other_owner))
    owners = [LOCAL_OWNER_ID, other_owner, LOCAL_OWNER_ID, LOCAL_OWNER_ID]
    first, others, second, in_front = [
        Request(id=uuid7(), owner_id=owner_id, source="page", workflow=WORKFLOW, front=number == 4)
        for number, owner_id in enumerate(owners, start=1)
    ]
    for request in (first, others, second, in_front):
        await idle_parts.admission.admit(request)
    await idle_parts.places.catch_up()
    async with idle_parts.database.reading() as session:
        told = await idle_parts.places.held(session)

    assert [UUID(entry["id"]) for entry in told["held"]] == [in_front.id, others.id, first.id, second.id]
    assert [entry["number"] for entry in told["held"]] == [1, 2, 3, 4]
    assert (await show(idle_parts, in_front.id)).place == 0
