"""Who may enter, and when: windows, budgets of groups, room for what waits and for pictures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.comfyui.outcomes import Accepted, Finished
from sidecar.errors import LimitReached, WaitingRoomFull
from sidecar.gallery import stored
from sidecar.gallery.models import Image
from sidecar.generations.idempotency import once
from sidecar.generations.models import Generation, move
from sidecar.generations.party import Entrant
from sidecar.generations.recording import record_accepted, record_finished
from sidecar.generations.states import GenerationState
from sidecar.generations.submissions import Request
from sidecar.identity import now, uuid7
from sidecar.limits.ledger import UsageEntry
from sidecar.limits.models import GroupMember
from sidecar.limits.persons import AddressSalt, OldSalts
from sidecar.limits.reasons import limit
from sidecar.parts import Parts

from .conftest import WORKFLOW, Clock, StartParts, add_instance, add_people, change_plan, submit, use_up

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
ADA, BOB = uuid7(), uuid7()


async def count(parts: Parts) -> int:
    async with parts.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(Generation)) or 0


async def test_the_eleventh_of_ten_an_hour_is_refused(start: StartParts, clock: Clock):
    """It hears which limit it is, how much is used, and when the next one is free; nothing is written down of it."""
    async with start("free") as parts:
        await use_up(parts)
        clock.at += SECOND * 59 * 60
        with pytest.raises(LimitReached) as refused:
            await submit(parts)

        assert refused.value.facts == {"limit": "generations_per_hour", "used": 10, "allowed": 10, "group": None}
        assert refused.value.retry_after_s == 60
        assert refused.value.message == (
            "Your plan allows 10 generations an hour, and 10 are used. The next one is free in 60 seconds; "
            "submit it again then."
        )
        assert await count(parts) == 10


async def test_whoever_comes_again_when_they_were_told_to_enters(start: StartParts, clock: Clock):
    """Not a second earlier."""
    async with start("free") as parts:
        await change_plan(parts, "free", waiting_at_most=20)
        began = clock.at
        await use_up(parts)
        clock.at = began + HOUR - SECOND
        with pytest.raises(LimitReached) as refused:
            await submit(parts)
        clock.at += SECOND * (refused.value.retry_after_s or 0)

        assert (await submit(parts)).state == "pending"


async def test_where_the_plan_lets_wait_it_waits_for_its_moment(start: StartParts, clock: Clock):
    """Accepted, with the moment and the reason; each of them gets a moment of its own."""
    async with start("standard") as parts:
        await change_plan(parts, "standard", generations_per_hour=2)
        began = clock.at
        first = await submit(parts)
        clock.at += SECOND * 10
        await submit(parts)
        held = [await submit(parts) for _ in range(3)]

        assert first.not_before is None
        assert [round(((each.not_before or began) - began) / SECOND) for each in held] == [3600, 3610, 7200]
        assert held[0].not_before is not None
        expected = limit("generations_per_hour", used=2, allowed=2, group=None, free_at=held[0].not_before)
        assert held[0].waiting_reason == expected


async def test_the_same_request_again_is_not_counted_again(start: StartParts, clock: Clock):
    """By its id or by its key; also when all is used meanwhile."""
    async with start("free") as parts:
        asked = once("key", "request")
        by_key = await submit(parts, once=asked)
        by_id = await submit(parts)
        await use_up(parts, 8)

        assert (await submit(parts, once=asked)).id == by_key.id
        assert (await submit(parts, id=by_id.id)).id == by_id.id
        assert await count(parts) == 10


async def test_what_reached_comfyui_by_another_door_is_counted_and_never_refused(start: StartParts, clock: Clock):
    """It has happened. Whoever asks next finds it counted."""
    async with start("free") as parts:
        instance_id = await add_instance(parts)
        await use_up(parts, 9)
        for _ in range(2):
            accepted = Accepted(1, str(uuid7()), clock().timestamp(), "outside", WORKFLOW, {}, None)
            async with parts.database.writing() as session:
                await record_accepted(session, accepted, instance_id)
        clock.at += SECOND
        with pytest.raises(LimitReached) as refused:
            await submit(parts)

        assert refused.value.facts["used"] == 11


async def test_in_open_access_every_address_is_a_person(start: StartParts, clock: Clock):
    """An IPv6 network is one; this machine is the local owner. What they make is the local owner's all the same."""
    async with start("free") as parts:
        await use_up(parts, address="192.0.2.1")
        await use_up(parts, address="2001:db8::1")
        for address in ("192.0.2.1", "2001:db8::ffff:2"):
            with pytest.raises(LimitReached):
                await submit(parts, address=address)
        elsewhere = [await submit(parts, address=each) for each in ("192.0.2.2", "2001:db8:0:1::1")]
        here = [await submit(parts, address=each) for each in ("127.0.0.1", "::1", None)]

        assert {each.owner_id for each in elsewhere + here} == {LOCAL_OWNER_ID}
        assert {each.person_id for each in here} == {LOCAL_OWNER_ID}
        assert len({each.person_id for each in elsewhere}) == 2


async def test_an_address_is_the_same_over_midnight_and_unknown_after_two_days(start: StartParts, clock: Clock):
    """Its hash changes every day; what it used yesterday counts all the same, until the salt is gone."""
    async with start("free") as parts:
        clock.at = now().replace(hour=0, minute=0, second=0) - timedelta(minutes=10)
        before = await submit(parts, address="192.0.2.1")
        await use_up(parts, 8, address="192.0.2.1")
        clock.at += timedelta(minutes=20)
        after = await submit(parts, address="192.0.2.1")
        with pytest.raises(LimitReached):
            await submit(parts, address="192.0.2.1")
        async with parts.database.writing() as session:
            session.add(AddressSalt(day=now().date() - timedelta(days=2), salt=b"old"))
        await OldSalts(parts.database).forget_old({})
        async with parts.database.reading() as session:
            salts = {row.day: row.salt for row in await session.scalars(select(AddressSalt))}

        assert before.person_id != after.person_id
        assert sorted(salts) == [now().date() - timedelta(days=1), now().date()]
        assert len(set(salts.values())) == 2


async def test_with_accounts_an_address_is_nobody(start: StartParts, clock: Clock):
    """Who has logged in is a person, from wherever."""
    async with start(GENONAUT_ACCESS="accounts") as parts:
        await add_people(parts, ADA)

        assert (await submit(parts, ADA, address="192.0.2.1")).person_id == ADA


async def test_a_groups_budget_is_shared(start: StartParts, clock: Clock):
    """What one of them used, the other cannot; the sentence names the group."""
    async with start(GENONAUT_ACCESS="accounts") as parts:
        await add_people(parts, ADA, BOB, group={"generations_per_day": 5})
        await use_up(parts, 3, owner_id=ADA)
        await use_up(parts, 2, owner_id=BOB)
        with pytest.raises(LimitReached) as refused:
            await submit(parts, BOB)

        assert refused.value.facts == {"limit": "generations_per_day", "used": 5, "allowed": 5, "group": "3b"}
        assert refused.value.message.startswith("The group 3b may use 5 generations a day, and 5 are used.")


async def test_who_is_refused_in_a_group_hears_what_others_wait_for(start: StartParts, clock: Clock):
    """What waits for room is not used yet."""
    async with start(GENONAUT_ACCESS="accounts") as parts:
        await add_people(parts, BOB, group={"generations_per_day": 1})
        await add_people(parts, ADA, plan="standard")
        async with parts.database.writing() as session:
            group_id = (await session.scalars(select(GroupMember.group_id))).one()
            session.add(GroupMember(group_id=group_id, user_id=ADA))
        await use_up(parts, 2, owner_id=ADA)
        with pytest.raises(LimitReached) as refused:
            await submit(parts, BOB)

        assert refused.value.facts["used"] == 1
        assert "and 1 is used and 1 more waits for room. The next one is free in 2 days" in refused.value.message


async def test_gpu_seconds_are_reserved_as_they_are_estimated(start: StartParts, clock: Clock):
    """Nothing is known of this checkpoint, so each is taken to need ten seconds."""
    async with start("free") as parts:
        await change_plan(parts, "free", gpu_seconds_per_day=25)
        await use_up(parts, 2)
        with pytest.raises(LimitReached) as refused:
            await submit(parts)

        assert refused.value.facts == {"limit": "gpu_seconds_per_day", "used": 20, "allowed": 25, "group": None}
        assert "20 are used, and this needs about 10. There is room for it in 24 hours" in refused.value.message


async def test_a_limit_of_nothing_lets_nobody_wait(start: StartParts, clock: Clock):
    """Waiting would never end, so nobody is told when."""
    async with start("standard") as parts:
        await change_plan(parts, "standard", generations_per_day=0)
        with pytest.raises(LimitReached) as refused:
            await submit(parts)

        assert refused.value.retry_after_s is None
        assert refused.value.message == "Your plan allows 0 generations a day. Ask an administrator for another plan."


async def test_a_changed_plan_holds_at_once(start: StartParts, clock: Clock):
    """Without a restart, and without waiting for what is remembered to grow old."""
    async with start("free") as parts:
        await use_up(parts)
        with pytest.raises(LimitReached):
            await submit(parts)
        await change_plan(parts, "free", generations_per_hour=11, waiting_at_most=11)

        assert (await submit(parts)).state == "pending"


async def test_only_so_many_of_a_person_wait(start: StartParts, clock: Clock):
    """Whether for their turn or for a limit. Others are let in."""
    async with start("standard") as parts:
        await change_plan(parts, "standard", waiting_at_most=3)
        await use_up(parts, 3)
        with pytest.raises(WaitingRoomFull) as refused:
            await submit(parts)

        assert refused.value.message == (
            "3 of your generations wait already, and your plan lets 3 wait. Submit it again when one of them has begun."
        )
        assert (await submit(parts, address="192.0.2.1")).state == "pending"


async def test_only_so_many_wait_in_all(start: StartParts, clock: Clock):
    """Whoever comes then is told to come later."""
    async with start("unlimited", GENONAUT_WAITING_AT_MOST="3") as parts:
        await use_up(parts, 3)
        with pytest.raises(WaitingRoomFull) as refused:
            await submit(parts, address="192.0.2.1")

        assert refused.value.message.startswith("3 generations wait here already")


async def test_whose_pictures_fill_their_room_makes_no_more(
    start: StartParts, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    """Waiting would not help, so it is refused whatever the plan does otherwise."""
    monkeypatch.setattr(stored, "LOOKING_IS_ONE_IN", 0)
    async with start("standard") as parts:
        await change_plan(parts, "standard", storage_bytes=1000)
        generation = await submit(parts)
        async with parts.database.writing() as session:
            session.add(
                Image(
                    id=uuid7(),
                    generation_id=generation.id,
                    owner_id=LOCAL_OWNER_ID,
                    node_id="1",
                    position=0,
                    bytes=1000,
                    created_at=now(),
                )
            )
        with pytest.raises(LimitReached) as refused:
            await submit(parts)

        assert refused.value.facts == {"limit": "storage_bytes", "used": 1000, "allowed": 1000, "group": None}
        assert refused.value.retry_after_s is None


async def test_of_several_that_come_in_one_transaction_as_many_enter_as_there_is_room_for(
    start: StartParts, clock: Clock
):
    """Each takes its part before the next one is looked at."""
    async with start("free") as parts:
        requests = [Request(id=uuid7(), owner_id=LOCAL_OWNER_ID, source="api", workflow=WORKFLOW) for _ in range(15)]
        outcomes = await parts.admission._let_in([Entrant(request) for request in requests])

        assert [isinstance(outcome, LimitReached) for outcome in outcomes] == [False] * 10 + [True] * 5


async def test_what_was_reserved_is_given_back_when_it_is_cancelled(start: StartParts, clock: Clock):
    """There is room for another one."""
    async with start("free") as parts:
        generation = await submit(parts)
        await use_up(parts, 9)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, generation.id)
        async with parts.database.reading() as session:
            kinds = await session.scalars(
                select(UsageEntry.kind).where(UsageEntry.generation_id == generation.id).order_by(UsageEntry.id)
            )

        assert list(kinds) == ["reserve", "return"]
        assert (await submit(parts)).state == "pending"


async def test_what_has_left_pictures_counts_however_it_ended(start: StartParts, clock: Clock):
    """One could else have any number of them, by something that fails behind the node that saves, or by cancelling."""
    picture = {"9": {"images": [{"filename": "a.png", "subfolder": "", "type": "temp"}]}}
    async with start("free") as parts:
        instance_id = await add_instance(parts)
        await end(parts, clock, await submit(parts), instance_id, "failed", picture)
        await end(parts, clock, await submit(parts), instance_id, "cancelled", picture)
        with_pictures = await used(parts)
        await end(parts, clock, await submit(parts), instance_id, "failed", {"9": {"text": ["nothing to fetch"]}})

        assert with_pictures == (2, 2 * 7000)
        assert await used(parts) == with_pictures


async def end(
    parts: Parts, clock: Clock, generation: Generation, instance_id: UUID, status: Any, outputs: dict[str, Any]
) -> None:
    """It ran for seven seconds."""
    at = clock().timestamp()
    entry = Finished(1, str(generation.id), status, finished_at=at, started_at=at - 7, outputs=outputs)
    async with parts.database.writing() as session:
        sent = await session.get_one(Generation, generation.id)
        move(session, sent, GenerationState.SUBMITTED, at=clock())
        sent.instance_id = instance_id
        await session.flush()
        await record_finished(session, entry, instance_id)


async def used(parts: Parts) -> tuple[int, int]:
    """Generations, and milliseconds, of which nothing was given back."""
    sums = select(func.sum(UsageEntry.generations), func.sum(UsageEntry.gpu_ms))
    async with parts.database.reading() as session:
        generations, gpu_ms = (await session.execute(sums)).one()
    return generations or 0, gpu_ms or 0
