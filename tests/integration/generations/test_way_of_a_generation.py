"""From admission to a final state, on a ComfyUI in the test's hands."""

from __future__ import annotations

from uuid import UUID

from fakes.comfyui import DeafComfyUI, RepeatingComfyUI, ScriptedComfyUI, SilentComfyUI
from integration.backends import every_backend
from sqlalchemy import select, update

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.gallery.models import Image
from sidecar.generations.models import GenerationEvent, Workflow
from sidecar.generations.submissions import Request
from sidecar.identity import uuid7
from sidecar.operations.schemas import InstancePatch
from sidecar.parts import Parts
from sidecar.rules.schemas import NewRule

from .conftest import WORKFLOW, StartSidecar, look_again, show, submit, until, until_state


async def states_of(parts: Parts, generation_id: object) -> list[str]:
    async with parts.database.reading() as session:
        query = select(GenerationEvent.state).where(GenerationEvent.generation_id == generation_id)
        return list(await session.scalars(query.order_by(GenerationEvent.id)))


async def until_arrived(parts: Parts, comfyui: ScriptedComfyUI) -> None:
    """Something is in ComfyUI's queue, and the sidecar has heard so."""
    await until(lambda: comfyui.pending and not parts.dispatcher._postings)


async def until_pending(comfyui: ScriptedComfyUI, prompt_id: str) -> None:
    await until(lambda: prompt_id in comfyui.pending)


@every_backend
async def test_a_generation_goes_from_pending_to_completed_and_each_step_is_written_down(start_sidecar: StartSidecar):
    """Every transition is stored with its time, in the order in which it happened."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.start(str(generation_id))
        await until_state(parts, generation_id, "running")
        await comfyui.finish(str(generation_id))
        view = await until_state(parts, generation_id, "completed")

        assert await states_of(parts, generation_id) == ["pending", "submitted", "running", "completed"]
        assert view.gpu_seconds == 1.5


async def test_of_two_tellings_of_a_generation_the_later_one_says_so(start_sidecar: StartSidecar):
    """
    `updated_at` only grows, also where ComfyUI's clock is behind ours: who holds an older telling must not keep it.
    """
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        comfyui.clock_behind_s = 3600
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.start(str(generation_id))
        running = await until_state(parts, generation_id, "running")
        await comfyui.finish(str(generation_id))
        completed = await until_state(parts, generation_id, "completed")

        assert completed.updated_at > running.updated_at


async def test_the_images_of_what_waits_to_be_looked_at_are_kept_and_withheld(start_sidecar: StartSidecar):
    """ComfyUI is told, too, and saves them where nobody but administrators looks."""
    outputs = {"9": {"images": [{"filename": "a.png", "subfolder": "genonaut/review", "type": "output"}]}}
    prefix = WORKFLOW["2"]["inputs"]["filename_prefix"]
    rule = NewRule("content", "To be looked at", {"words": [prefix]}, action="flag")
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        await parts.rule_desk.make(rule, COMMAND_LINE)
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.start(str(generation_id))
        await comfyui.finish(str(generation_id), outputs=outputs)
        view = await until_state(parts, generation_id, "completed")
        async with parts.database.reading() as session:
            (image,) = await session.scalars(select(Image).where(Image.generation_id == generation_id))

        assert (view.review, view.images, image.is_withheld) == ("waiting", [], True)
        assert comfyui.posted[0]["extra_data"]["genonaut"]["review"] is True


@every_backend
async def test_comfyui_is_fed_one_prompt_ahead_and_in_order(start_sidecar: StartSidecar):
    """Two are in ComfyUI at once, never three; the next one goes when one has ended; first come, first served."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = [str(await submit(parts)) for _ in range(4)]
        await until(lambda: len(comfyui.pending) == 2)
        assert [body["prompt_id"] for body in comfyui.posted] == ids[:2]

        await comfyui.start(ids[0])
        await comfyui.finish(ids[0])
        await until(lambda: len(comfyui.posted) == 3)

        assert [body["prompt_id"] for body in comfyui.posted] == ids[:3]


async def test_a_held_generation_knows_its_place(start_sidecar: StartSidecar):
    """`place` counts the held generations that run before it; what ComfyUI has already has no place."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = [await submit(parts) for _ in range(4)]
        await until(lambda: len(comfyui.pending) == 2)

        assert [(await show(parts, generation_id)).place for generation_id in ids] == [None, None, 0, 1]


async def test_comfyui_is_told_what_is_held(start_sidecar: StartSidecar):
    """Held generations are pending in ComfyUI's own queue panel."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = [str(await submit(parts)) for _ in range(4)]

        await until(lambda: [entry["id"] for entry in comfyui.held] == ids[2:])


async def test_every_prompt_carries_the_tag_of_its_owner(start_sidecar: StartSidecar):
    """Whatever node saves a file, the tag is in what ComfyUI writes into it."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.posted)

        extra_data = comfyui.posted[0]["extra_data"]
        expected = {"generation_id": str(generation_id), "owner_id": str(LOCAL_OWNER_ID), "title": "", "tags": []}
        assert extra_data["genonaut"] == extra_data["extra_pnginfo"]["genonaut"] == expected
        assert comfyui.posted[0]["client_id"]


@every_backend
async def test_a_known_id_is_admitted_once(start_sidecar: StartSidecar):
    """A gate that did not hear our answer asks again and gets the same one."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        request = Request(id=uuid7(), owner_id=LOCAL_OWNER_ID, source="page", workflow=WORKFLOW)
        first = await parts.admission.admit(request)
        second = await parts.admission.admit(request)

        assert (first.id, first.number) == (second.id, second.number)
        assert len((await parts.history.page(LOCAL_OWNER_ID, limit=10)).items) == 1


async def test_an_error_in_a_node_is_told_with_the_node(start_sidecar: StartSidecar):
    """Who asked reads which node failed and why."""
    error = {
        "type": "ValueError",
        "message": "bad latent",
        "node_id": "5",
        "node_type": "KSampler",
        "traceback": ["..."],
    }
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.finish(str(generation_id), status="failed", error=error)
        view = await until_state(parts, generation_id, "failed")

        assert view.error is not None
        assert (view.error.code, view.error.node_id) == ("node_failed", "5")
        assert view.error.message == "KSampler failed: bad latent"


@every_backend
async def test_a_held_generation_is_cancelled_at_once(start_sidecar: StartSidecar):
    """ComfyUI never hears of it."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = [await submit(parts) for _ in range(3)]
        await until(lambda: len(comfyui.pending) == 2)
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, ids[2])

        assert (await show(parts, ids[2])).state == "cancelled"
        assert str(ids[2]) not in [body["prompt_id"] for body in comfyui.posted]


@every_backend
async def test_a_running_generation_is_cancelled_when_comfyui_has_let_go(start_sidecar: StartSidecar):
    """The journal says that it was cancelled; until then it is only asked for."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.start(str(generation_id))
        await until_state(parts, generation_id, "running")
        await parts.dispatcher.cancel(LOCAL_OWNER_ID, generation_id)

        await until_state(parts, generation_id, "cancelled")


@every_backend
async def test_an_outcome_that_is_told_twice_is_recorded_once(start_sidecar: StartSidecar):
    """The position in the journal is committed with the outcome."""
    outputs = {"2": {"images": [{"filename": "gone.png", "subfolder": "", "type": "output"}]}}
    async with RepeatingComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.finish(str(generation_id), outputs=outputs)
        await until_state(parts, generation_id, "completed")
        await look_again(parts)
        view = await show(parts, generation_id)

        assert len(view.images) == 1
        assert (await states_of(parts, generation_id)).count("completed") == 1


async def test_a_confirmation_that_did_not_arrive_is_repeated(start_sidecar: StartSidecar):
    """The sidecar may die between committing an outcome and confirming it; the journal shall not keep it for ever."""
    deaf = DeafComfyUI()
    async with deaf.served() as comfyui:
        async with start_sidecar(comfyui) as parts:
            generation_id = await submit(parts)
            await until(lambda: comfyui.pending)
            await comfyui.finish(str(generation_id))
            await until_state(parts, generation_id, "completed")
        assert comfyui.entries
        deaf.hears = True
        async with start_sidecar(comfyui):
            await until(lambda: not comfyui.entries)


@every_backend
async def test_a_restarted_comfyui_gets_its_prompts_again(start_sidecar: StartSidecar):
    """What was in flight when ComfyUI died goes back to the queue and runs."""
    comfyui = ScriptedComfyUI()
    async with comfyui.served():
        port = int(comfyui.url.rsplit(":", 1)[1])
        sidecar = start_sidecar(comfyui)
        parts = await sidecar.__aenter__()
        ids = [await submit(parts) for _ in range(3)]
        await until(lambda: len(comfyui.pending) == 2)
        await comfyui.start(str(ids[0]))
        await until_state(parts, ids[0], "running")
    comfyui.forget_everything()
    async with comfyui.served(port):
        for generation_id in ids:
            await until_pending(comfyui, str(generation_id))
            await comfyui.finish(str(generation_id))
            await until_state(parts, generation_id, "completed")
        await sidecar.__aexit__(None, None, None)


async def test_what_takes_comfyui_down_each_time_is_lost_after_three_tries(start_sidecar: StartSidecar):
    """It says so, with a hint; it does not take ComfyUI down for ever."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        for _ in range(3):
            await until_arrived(parts, comfyui)
            await comfyui.start(str(generation_id))
            comfyui.forget_everything()
            await look_again(parts)
        view = await until_state(parts, generation_id, "lost")

        assert len(comfyui.posted) == 3
        assert view.error is not None
        assert "stopped 3 times" in view.error.message


async def test_what_cannot_even_be_sent_fails_after_three_tries(start_sidecar: StartSidecar):
    """Its workflow cannot be read: it does not come round for ever, and the instance is not to blame."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        (instance,) = await parts.instance_desk.list()
        await parts.instance_desk.change(instance.id, InstancePatch(wanted="paused"))
        generation_id = await submit(parts)
        async with parts.database.writing() as session:
            await session.execute(update(Workflow).values(content=b"no workflow"))
        await parts.instance_desk.change(instance.id, InstancePatch(wanted="active"))
        error = (await until_state(parts, generation_id, "failed")).error
        steps = (await parts.history.timeline(LOCAL_OWNER_ID, generation_id)).items

        assert error is not None
        assert error.code == "internal_error"
        assert error.message.startswith("Genonaut failed 3 times to send this to ComfyUI.")
        assert [step.reason for step in steps].count("internal_error") == 3
        assert (await parts.instance_desk.show(instance.id)).failures == 0


async def test_what_only_waited_when_comfyui_died_is_not_to_blame(start_sidecar: StartSidecar):
    """However often ComfyUI dies with another prompt, those behind it run in the end."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        for _ in range(5):
            await until_arrived(parts, comfyui)
            comfyui.forget_everything()
            await look_again(parts)
        await until(lambda: comfyui.pending)
        await comfyui.finish(str(generation_id))

        await until_state(parts, generation_id, "completed")


async def test_an_entry_that_cannot_be_read_hides_no_other(start_sidecar: StartSidecar):
    """Whatever another pack made of its prompt: what comes after it is recorded."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        comfyui.append({"kind": "accepted", "prompt_id": 7, "workflow": "none"})
        await comfyui.finish(str(generation_id))

        await until_state(parts, generation_id, "completed")
        await until(lambda: not comfyui.entries)


async def test_outcomes_that_were_missed_are_read_after_a_silence(start_sidecar: StartSidecar):
    """Events are only hints."""
    async with SilentComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.finish(str(generation_id))
        await look_again(parts)

        assert (await show(parts, generation_id)).state == "completed"


@every_backend
async def test_a_prompt_that_ran_while_the_sidecar_was_away_is_imported(start_sidecar: StartSidecar):
    """The journal kept both that it was accepted and how it ended."""
    async with ScriptedComfyUI().served() as comfyui:
        prompt_id = str(uuid7())
        comfyui.accept(prompt_id, WORKFLOW)
        await comfyui.finish(prompt_id)
        async with start_sidecar(comfyui) as parts:
            page = await until(lambda: parts.history.page(LOCAL_OWNER_ID, limit=10))
            await until(lambda: not comfyui.entries)
            page = await parts.history.page(LOCAL_OWNER_ID, limit=10)

            assert [(str(item.id), item.state, item.source) for item in page.items] == [
                (prompt_id, "completed", "page")
            ]


async def test_a_prompt_of_another_pack_with_any_id_is_recorded(start_sidecar: StartSidecar):
    """Another pack may call the queue with an id of its own making."""
    async with ScriptedComfyUI().served() as comfyui:
        comfyui.accept("my own id", WORKFLOW, source="outside")
        await comfyui.finish("my own id")
        async with start_sidecar(comfyui) as parts:
            await until(lambda: not comfyui.entries)
            page = await parts.history.page(LOCAL_OWNER_ID, limit=10)

            assert [(item.state, item.source) for item in page.items] == [("completed", "outside")]


@every_backend
async def test_what_is_held_survives_a_restart_of_the_sidecar(start_sidecar: StartSidecar):
    """The database knows what waits; the tokens are made again."""
    async with ScriptedComfyUI().served() as comfyui:
        async with start_sidecar(comfyui) as parts:
            ids = [str(await submit(parts)) for _ in range(3)]
            await until(lambda: len(comfyui.pending) == 2)
        await comfyui.finish(ids[0])
        async with start_sidecar(comfyui) as parts:
            await until(lambda: ids[2] in comfyui.pending)

            assert (await parts.history.show(LOCAL_OWNER_ID, UUID(ids[0]))).state == "completed"
