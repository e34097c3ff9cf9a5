"""Several ComfyUIs, all of them in the test's hands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from uuid import UUID

import pytest
from fakes.comfyui import BrokenComfyUI, ScriptedComfyUI, SlowComfyUI
from integration.backends import every_backend, with_postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.errors import InstanceBusy, InstanceFromSettings, InstanceKnown
from sidecar.generations import relocation
from sidecar.identity import generation_id_of
from sidecar.instances import registry, standing
from sidecar.instances.models import Connection, Instance
from sidecar.instances.registry import keep_configured
from sidecar.operations.schemas import InstancePatch, InstanceView, NewInstance
from sidecar.parts import Parts, put_together
from sidecar.running import running
from sidecar.settings import read_settings

from .conftest import StartSidecar, loading, look_again, settings_of, show, submit, until, until_connected, until_state


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relocation, "PATIENCE_S", 0.1)
    monkeypatch.setattr(standing, "REST_FIRST_S", 0.05)


async def instance_of(parts: Parts, comfyui: ScriptedComfyUI) -> InstanceView:
    return next(view for view in await parts.instance_desk.list() if view.url == comfyui.url)


async def finish_everything(comfyuis: Iterable[ScriptedComfyUI]) -> None:
    for comfyui in comfyuis:
        for prompt_id in list(comfyui.pending):
            await comfyui.finish(prompt_id)


@every_backend
async def test_work_goes_to_every_instance(start_sidecar: StartSidecar):
    """Two are in each at once; whoever is done gets the next one."""
    async with (
        ScriptedComfyUI().served() as one,
        ScriptedComfyUI().served() as two,
        start_sidecar(one, two) as parts,
    ):
        await until_connected(parts)
        ids = [await submit(parts) for _ in range(5)]
        await until(lambda: (len(one.pending), len(two.pending)) == (2, 2))
        await two.finish(two.pending[0])
        await until(lambda: str(ids[4]) in two.pending)
        await finish_everything([one, two])
        for generation_id in ids:
            await until_state(parts, generation_id, "completed")

        assert {len(one.posted), len(two.posted)} == {2, 3}


async def test_work_of_an_instance_that_stays_away_is_done_by_another_one(start_sidecar: StartSidecar):
    """Each exactly once: what the lost one had is tried again elsewhere."""
    async with ScriptedComfyUI().served() as two, AsyncExitStack() as stack:
        one = await stack.enter_async_context(ScriptedComfyUI().served())
        async with start_sidecar(one, two) as parts:
            await until_connected(parts)
            ids = [await submit(parts) for _ in range(4)]
            await until(lambda: (len(one.pending), len(two.pending)) == (2, 2))
            lost = list(one.pending)
            await one.start(lost[0])
            await until_state(parts, ids[[str(i) for i in ids].index(lost[0])], "running")
            await stack.aclose()
            await finish_everything([two])
            await until(lambda: set(two.pending) == set(lost))
            await finish_everything([two])
            for generation_id in ids:
                await until_state(parts, generation_id, "completed")

            assert len(two.posted) == 4
            assert [failure.code for failure in (await instance_of(parts, one)).evidence] == ["ended_while_running"]


@dataclass
class CutOff:
    """One of two instances is cut off; the other one has its generation beside its own."""

    parts: Parts
    one: ScriptedComfyUI
    two: ScriptedComfyUI
    ids: list[UUID]
    moved: UUID
    """What the first one still has."""
    port: int
    """Where the first one listens when it is back."""
    lose_two: Callable[[], Awaitable[None]]


@pytest.fixture
async def cut_off(start_sidecar: StartSidecar) -> AsyncIterator[CutOff]:
    one, two = ScriptedComfyUI(), ScriptedComfyUI()
    async with AsyncExitStack() as until_two_is_lost, AsyncExitStack() as until_cut_off:
        await until_two_is_lost.enter_async_context(two.served())
        await until_cut_off.enter_async_context(one.served())
        async with start_sidecar(one, two) as parts:
            await until_connected(parts)
            ids = [await submit(parts) for _ in range(2)]
            await until(lambda: (len(one.pending), len(two.pending)) == (1, 1))
            await until_cut_off.aclose()
            moved = next(generation_id for generation_id in ids if str(generation_id) in one.pending)
            await until(lambda: str(moved) in two.pending)
            port = int(one.url.rsplit(":", 1)[1])
            yield CutOff(parts, one, two, ids, moved, port, until_two_is_lost.aclose)


async def test_what_came_back_with_an_instance_is_taken_out_of_it(cut_off: CutOff):
    """It was only cut off, and what it has went elsewhere meanwhile: nothing runs twice."""
    async with cut_off.one.served(cut_off.port):
        await until_connected(cut_off.parts)
        assert cut_off.one.pending == []
        assert (await show(cut_off.parts, cut_off.moved)).state == "submitted"
        await finish_everything([cut_off.two])
        for generation_id in cut_off.ids:
            await until_state(cut_off.parts, generation_id, "completed")


async def test_what_was_taken_out_of_an_instance_may_come_back_to_it(cut_off: CutOff):
    """The other one died, too. A prompt that has ended never runs again, so it comes as another one."""
    one, parts = cut_off.one, cut_off.parts
    async with one.served(cut_off.port):
        await until_connected(parts)
        await cut_off.lose_two()
        await until(lambda: len(one.pending) == 2)
        await finish_everything([one])

        for generation_id in cut_off.ids:
            await until_state(parts, generation_id, "completed")


async def test_an_instance_that_fails_again_and_again_is_set_aside_and_taken_back(start_sidecar: StartSidecar):
    """It gets nothing until it answers a probe; what happened can be read afterwards."""
    async with BrokenComfyUI(times=3).served() as comfyui, start_sidecar(comfyui) as parts:
        ids = [await submit(parts) for _ in range(2)]

        async def set_aside() -> bool:
            parts.dispatcher.wake()
            return (await instance_of(parts, comfyui)).set_aside_at is not None

        await until(set_aside)
        evidence = (await instance_of(parts, comfyui)).evidence
        await rest_is_over(parts, comfyui)
        await parts.tending.tend_instances({})

        async def arrived() -> bool:
            parts.dispatcher.wake()
            return len(comfyui.pending) == len(ids)

        await until(arrived)
        await finish_everything([comfyui])
        for generation_id in ids:
            await until_state(parts, generation_id, "completed")

        assert [failure.code for failure in evidence] == ["comfyui_broken"] * 3
        assert (await instance_of(parts, comfyui)).failures == 0


async def rest_is_over(parts: Parts, comfyui: ScriptedComfyUI) -> None:
    async with parts.database.writing() as session:
        instance = await session.get_one(Instance, (await instance_of(parts, comfyui)).id)
        instance.rests_until = instance.set_aside_at


async def test_a_paused_instance_gets_nothing_and_a_draining_one_is_paused_when_it_is_done(
    start_sidecar: StartSidecar,
):
    """It finishes what it has; and stays paused when the sidecar is started again."""
    async with (
        ScriptedComfyUI().served() as comfyui,
        start_sidecar(comfyui) as parts,
    ):
        first, second = await submit(parts), None
        await until(lambda: comfyui.pending)
        instance = await instance_of(parts, comfyui)
        await parts.instance_desk.change(instance.id, InstancePatch(wanted="draining"))
        second = await submit(parts)
        await comfyui.finish(str(first))
        await until_state(parts, first, "completed")
        await parts.tending.tend_instances({})
        drained = await instance_of(parts, comfyui)
        async with start_sidecar(comfyui) as restarted:
            await until_connected(restarted, 1)
            still_waiting = (await show(restarted, second)).state
            await restarted.instance_desk.change(instance.id, InstancePatch(wanted="active"))
            await until(lambda: str(second) in comfyui.pending)

        assert drained.wanted == "paused"
        assert still_waiting == "pending"


async def test_an_instance_is_registered_and_removed_while_everything_runs(start_sidecar: StartSidecar):
    """No restart: it is followed as soon as it is known, and forgotten when it has nothing in its hands."""
    async with ScriptedComfyUI().served() as one, ScriptedComfyUI().served() as two, start_sidecar(one) as parts:
        added = await parts.instance_desk.register(NewInstance(url=f"{two.url}/", name="upstairs"))
        with pytest.raises(InstanceKnown):
            await parts.instance_desk.register(NewInstance(url=two.url))
        await until_connected(parts)
        ids = [await submit(parts) for _ in range(2)]
        await until(lambda: one.pending and two.pending)
        with pytest.raises(InstanceBusy):
            await parts.instance_desk.remove(added.id)
        await finish_everything([one, two])
        for generation_id in ids:
            await until_state(parts, generation_id, "completed")
        await parts.instance_desk.remove(added.id)
        await until(lambda: not two._observers)

        assert [view.url for view in await parts.instance_desk.list()] == [one.url]
        with pytest.raises(InstanceFromSettings):
            await parts.instance_desk.remove((await instance_of(parts, one)).id)
        assert (await parts.instance_desk.register(NewInstance(url=two.url))).id == added.id


async def test_an_instance_that_the_setting_no_longer_names_is_none_any_more(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
):
    """What it had in its hands is done by those that are left: ComfyUI was started on another port."""
    looks: list[Sequence[str]] = []

    async def look_at(session: AsyncSession, urls: Sequence[str]) -> list[Instance]:
        looks.append(urls)
        return await keep_configured(session, urls)

    monkeypatch.setattr(registry, "keep_configured", look_at)
    async with ScriptedComfyUI().served() as one, ScriptedComfyUI().served() as two:
        async with start_sidecar(one) as parts:
            generation_id = await submit(parts)
            await until(lambda: one.pending)
        async with start_sidecar(two) as parts:
            await until(lambda: two.pending)
            await finish_everything([two])
            await until_state(parts, generation_id, "completed")

            assert [view.url for view in await parts.instance_desk.list()] == [two.url]
            assert [urls for urls, _ in groupby(looks)] == [(one.url,), (two.url,)]


@with_postgresql
async def test_only_the_process_that_drives_says_which_instances_there_are(
    start_sidecar: StartSidecar, tmp_path: Path, backend: dict[str, str]
):
    """A server beside workers, started without the setting, takes nothing away from them."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        await until_connected(parts, 1)
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        server = put_together(read_settings({"GENONAUT_DATA": str(tmp_path), "GENONAUT_WORKER": "none", **backend}))
        async with running(server, works=False):
            assert [view.url for view in await server.instance_desk.list()] == [comfyui.url]
            assert (await show(server, generation_id)).state == "submitted"


@with_postgresql
async def test_whoever_removes_an_instance_takes_nothing_back_that_is_on_its_way(
    start_sidecar: StartSidecar, tmp_path: Path, backend: dict[str, str]
):
    """Another process drives, and it alone knows: the generation goes elsewhere when that one has let go of it."""
    async with SlowComfyUI().served() as slow, ScriptedComfyUI().served() as other, start_sidecar() as parts:
        instance = await parts.instance_desk.register(NewInstance(url=slow.url))
        await until_connected(parts, 1)
        generation_id = await submit(parts)
        await until(lambda: slow.asked)
        await parts.instance_desk.register(NewInstance(url=other.url))
        await until_connected(parts)
        async with parts.database.writing() as session:
            (await session.get_one(Instance, instance.id)).state = Connection.AWAY.value
        server = put_together(settings_of(tmp_path, backend))
        async with running(server, works=False):
            await server.instance_desk.remove(instance.id)
            assert (await show(server, generation_id)).state == "submitted"
        slow.go_on.set()
        await until(lambda: slow.posted)
        await until(lambda: not slow.pending)
        parts.following.instances_changed()

        await until(lambda: other.pending)
        assert [generation_id_of(prompt_id) for prompt_id in other.pending] == [generation_id]


async def test_of_a_generation_that_ran_in_two_places_one_outcome_counts(cut_off: CutOff):
    """Cut off for a while, one instance finished what another one had been given in the meantime."""
    one, two, parts, moved = cut_off.one, cut_off.two, cut_off.parts, cut_off.moved
    one._write(str(moved), status="completed", outputs={}, error=None)
    one.pending.clear()
    async with one.served(cut_off.port):
        await until_state(parts, moved, "completed")
        await look_again(parts)
        assert str(moved) not in two.pending
        await finish_everything([two])
        await until(lambda: not two.entries)
        events = [step.state for step in (await parts.history.timeline(LOCAL_OWNER_ID, moved)).items]

    assert events.count("completed") == 1


async def test_what_only_an_instance_that_is_away_has_waits_with_a_reason_and_blocks_nobody(
    start_sidecar: StartSidecar,
):
    """It goes on by itself when that one is back."""
    here, there = ScriptedComfyUI(), ScriptedComfyUI()
    here.models = {"checkpoints": ["here.safetensors"]}
    there.models = {"checkpoints": ["there.safetensors"]}
    async with here.served():
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(there.served())
            port = int(there.url.rsplit(":", 1)[1])
            sidecar = start_sidecar(here, there)
            parts = await sidecar.__aenter__()
            await until_connected(parts)
            await until(lambda: parts.catalog.snapshot.listed == frozenset(parts.following._tasks))
        await until_connected(parts, 1)
        waiting = await submit(parts, loading("there.safetensors"))
        other = await submit(parts, loading("here.safetensors"))
        await until(lambda: str(other) in here.pending)

        async def told() -> str | None:
            return (await show(parts, waiting)).waiting_reason

        reason = await until(told)
        async with there.served(port):
            await until_connected(parts)

            async def arrived() -> bool:
                parts.dispatcher.wake()
                return str(waiting) in there.pending

            await until(arrived)
            assert await told() is None
            await finish_everything([here, there])
            await until_state(parts, waiting, "completed")
            await sidecar.__aexit__(None, None, None)

        # Where it stands is not for everybody; a name that an administrator gave it would be told.
        assert reason == "No ComfyUI that can work now has there.safetensors. It waits for a ComfyUI (away)."


async def test_health_tells_how_every_part_is_since_when_and_what_waits(start_sidecar: StartSidecar):
    """Where something was made already, also how long what waits will take."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        await until_connected(parts, 1)
        first = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.finish(str(first))
        await until_state(parts, first, "completed")
        before = await parts.health_check.look()
        for _ in range(5):
            await submit(parts)
        await until(lambda: len(comfyui.pending) == 2)
        after = await parts.health_check.look()

        assert before.ready
        assert {part.state for part in (before.database, before.queue, before.storage)} == {"ok"}
        assert before.waiting is not None
        assert (before.waiting.generations, before.waiting.estimated_s) == (0, 0.0)
        assert after.waiting is not None
        assert (after.waiting.generations, after.waiting.estimated_s) == (3, 4.5)
        assert after.database.since == before.database.since
        assert [(one.state, one.reason) for one in after.instances] == [("connected", "")]


async def test_health_tells_of_an_instance_that_is_set_aside(start_sidecar: StartSidecar):
    """It is there, and gets nothing: the state that somebody looks for who wonders why."""
    async with BrokenComfyUI(times=9).served() as comfyui, start_sidecar(comfyui) as parts:
        for _ in range(2):
            await submit(parts)

        async def told() -> str:
            parts.dispatcher.wake()
            (instance,) = (await parts.health_check.look()).instances
            return instance.reason if instance.state == "set_aside" else ""

        assert await until(told) == "ComfyUI answered 500 to /prompt."
