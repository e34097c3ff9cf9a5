"""
The ten ways in which a generation meets trouble, in the order in which it may meet them.

After each of them: the right state, a sentence that says what to do, a code, nothing lost; and the next one completes.
"""

from __future__ import annotations

import shutil
from typing import Any
from uuid import UUID

import pytest
from fakes.comfyui import BabblingComfyUI, BrokenComfyUI, HungryComfyUI, PickyComfyUI, ScriptedComfyUI, SlowComfyUI
from fakes.folders import png
from integration.backends import every_backend

from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.comfyui import pack_dialect
from sidecar.errors import ModelsUnusable
from sidecar.generations import dispatcher
from sidecar.generations.queueing import KEEP_IMAGES
from sidecar.generations.schemas import Failure
from sidecar.generations.submissions import Request
from sidecar.identity import generation_id_of, uuid7
from sidecar.instances import standing
from sidecar.parts import Parts

from .conftest import StartSidecar, show, submit, until, until_state


@pytest.fixture(autouse=True)
def nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an instance that failed, and for ComfyUI to free its memory."""
    monkeypatch.setattr(standing, "REST_FIRST_S", 0.05)
    monkeypatch.setattr(dispatcher, "MEMORY_IS_FREED_IN_S", 0.05)


async def complete(parts: Parts, comfyui: ScriptedComfyUI, generation_id: UUID, **outcome: Any) -> None:
    await until(lambda: str(generation_id) in comfyui.pending)
    await comfyui.start(str(generation_id))
    await comfyui.finish(str(generation_id), **outcome)
    await until_state(parts, generation_id, "completed")


async def the_queue_goes_on(parts: Parts, comfyui: ScriptedComfyUI) -> None:
    await complete(parts, comfyui, await submit(parts))


async def reasons_of(parts: Parts, generation_id: UUID) -> list[str]:
    return [step.reason for step in (await parts.history.timeline(LOCAL_OWNER_ID, generation_id)).items]


async def failure_of(parts: Parts, generation_id: UUID) -> Failure:
    view = await until_state(parts, generation_id, "failed")
    assert view.error is not None
    return view.error


async def test_1_a_refused_connection_costs_nothing_but_time(start_sidecar: StartSidecar):
    """Nobody is there: it waits without spending a try, and runs when somebody is."""
    comfyui = ScriptedComfyUI()
    async with comfyui.served():
        port = int(comfyui.url.rsplit(":", 1)[1])
    async with start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        (health,) = (await parts.health_check.look()).instances
        async with comfyui.served(port):
            await complete(parts, comfyui, generation_id)
            await the_queue_goes_on(parts, comfyui)

    assert health.state == "away"
    assert health.reason


async def test_2_a_time_out_is_tried_again_under_the_same_id(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
):
    """ComfyUI may have taken it in all the same: it knows the id, and runs it once."""
    monkeypatch.setattr(pack_dialect, "SUBMIT_TIMEOUT", 0.3)
    async with SlowComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.asked == 2)
        comfyui.go_on.set()
        await complete(parts, comfyui, generation_id)

        assert "comfyui_timeout" in await reasons_of(parts, generation_id)
        assert comfyui.pending == comfyui.running == []
        await the_queue_goes_on(parts, comfyui)


@every_backend
async def test_3_a_server_error_is_tried_three_times(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch):
    """Then it fails and says whom to ask; what comes behind it has its own tries."""
    monkeypatch.setattr(standing, "FAILURES_UNTIL_SET_ASIDE", 10)
    async with BrokenComfyUI(times=3).served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        error = await failure_of(parts, generation_id)

        assert (error.code, len(comfyui.posted)) == ("comfyui_broken", 3)
        assert error.message == "ComfyUI failed 3 times to take this in. Ask whoever runs it to look at its log."
        await the_queue_goes_on(parts, comfyui)


async def test_4_an_unknown_model_is_refused_before_anything_is_written(start_sidecar: StartSidecar):
    """With the node and the name; a graph from a program may name what nobody has."""
    workflow = {"4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "gone.safetensors"}}}
    comfyui = ScriptedComfyUI()
    comfyui.models = {"checkpoints": ["sd15.safetensors"]}
    async with comfyui.served(), start_sidecar(comfyui) as parts:
        await until(lambda: parts.catalog.snapshot.models)
        with pytest.raises(ModelsUnusable, match=r"node 4\): There is no checkpoint gone.safetensors here") as refused:
            await parts.admission.admit(Request(id=uuid7(), owner_id=LOCAL_OWNER_ID, source="api", workflow=workflow))

        assert (refused.value.code, refused.value.errors[0]["code"]) == ("models_unusable", "model_unknown")
        assert (await parts.history.page(LOCAL_OWNER_ID, limit=10)).items == []
        await the_queue_goes_on(parts, comfyui)


async def test_5_an_invalid_workflow_fails_at_once_in_comfyuis_words(start_sidecar: StartSidecar):
    """It would be refused again, so it is not tried again."""
    async with PickyComfyUI(times=1).served() as comfyui, start_sidecar(comfyui) as parts:
        error = await failure_of(parts, await submit(parts))

        assert error.code == "workflow_rejected"
        assert error.message == "Prompt outputs failed validation"
        assert comfyui.posted == []
        await the_queue_goes_on(parts, comfyui)


async def test_6_a_malformed_answer_is_no_answer(start_sidecar: StartSidecar):
    """A page of some proxy says that all went well, and ComfyUI has never heard of it."""
    async with BabblingComfyUI(times=1).served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await complete(parts, comfyui, generation_id)

        assert "comfyui_broken" in await reasons_of(parts, generation_id)
        await the_queue_goes_on(parts, comfyui)


async def test_7_a_network_cut_in_the_middle_loses_nothing(start_sidecar: StartSidecar):
    """What ended meanwhile stands in the journal, and is recorded once when the network is back."""
    comfyui = ScriptedComfyUI()
    async with comfyui.served():
        port = int(comfyui.url.rsplit(":", 1)[1])
        sidecar = start_sidecar(comfyui)
        parts = await sidecar.__aenter__()
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.start(str(generation_id))
        await until_state(parts, generation_id, "running")
    await comfyui.finish(str(generation_id))
    async with comfyui.served(port):
        await until_state(parts, generation_id, "completed")

        assert (await reasons_of(parts, generation_id)) == ["", "", "", ""]
        assert [body["prompt_id"] for body in comfyui.posted] == [str(generation_id)]
        await the_queue_goes_on(parts, comfyui)
        await sidecar.__aexit__(None, None, None)


@every_backend
async def test_8_out_of_memory_is_tried_once_more_when_comfyui_has_freed_its_memory(start_sidecar: StartSidecar):
    """Models of other prompts may have been in its way. The second run has an id of its own: none runs twice."""
    async with HungryComfyUI(satisfied_after=1).served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts)
        await until(lambda: comfyui.pending)
        await comfyui.run(str(generation_id))
        await until(lambda: comfyui.pending)
        (second,) = comfyui.pending
        await comfyui.run(second)
        view = await until_state(parts, generation_id, "completed")

        assert (second != str(generation_id), generation_id_of(second)) == (True, generation_id)
        assert comfyui.freed_before == [1]
        assert view.gpu_seconds == 3.0
        await the_queue_goes_on(parts, comfyui)


async def test_8_out_of_memory_a_second_time_fails_with_advice(start_sidecar: StartSidecar):
    """Once is enough: a third run would only keep others waiting."""
    large = {
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 4096, "height": 2048, "batch_size": 4}},
        "5": {"class_type": "KSampler", "inputs": {"latent_image": ["3", 0], "positive": ["3", 0]}},
    }
    async with HungryComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        generation_id = await submit(parts, large)
        for _ in range(2):
            await until(lambda: comfyui.pending)
            await comfyui.run(comfyui.pending[0])
        error = await failure_of(parts, generation_id)

        assert (error.code, error.node_id) == ("out_of_memory", "5")
        assert error.message == (
            "KSampler ran out of memory, also after ComfyUI had freed its memory. "
            "Try a smaller size or batch (it was 4096 x 2048, 4 at once)."
        )
        assert len(comfyui.posted) == 2
        await the_queue_goes_on(parts, comfyui)


async def test_9_a_disk_that_cannot_be_written_delays_images_and_loses_none(
    start_sidecar: StartSidecar,
):
    """The outcome is recorded, the images are expected; they are fetched when the disk takes them again."""
    outputs = {"2": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        comfyui.files["a.png"] = png()
        folder = parts.settings.data_folder / "images"
        shutil.rmtree(folder)
        folder.write_text("a file where the folder was: nobody can write into it", encoding="utf-8")
        generation_id = await submit(parts)
        await complete(parts, comfyui, generation_id, outputs=outputs)
        await until(lambda: storing_failed(parts))
        await the_queue_goes_on(parts, comfyui)
        (expected,) = (await show(parts, generation_id)).images
        folder.unlink()
        await until(lambda: is_kept(parts, generation_id))

        assert expected.state == "expected"


async def storing_failed(parts: Parts) -> bool:
    """Has a job met the disk? It is in the queue again, with what it saw."""
    jobs = [job for queue in parts.queues async for job in queue.iter_jobs()]
    return any(job.function == KEEP_IMAGES and "StorageUnavailable" in (job.error or "") for job in jobs)


async def is_kept(parts: Parts, generation_id: UUID) -> bool:
    return [image.state for image in (await show(parts, generation_id)).images] == ["kept"]


async def test_10_of_a_batch_what_is_missing_or_corrupt_is_told_and_the_rest_is_kept(start_sidecar: StartSidecar):
    """Each image has its own state; the generation has completed."""
    names = ("good.png", "gone.png", "broken.png")
    outputs = {"2": {"images": [{"filename": name, "subfolder": "", "type": "output"} for name in names]}}
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        comfyui.files |= {"good.png": png(), "broken.png": b"\x89PNG and then nothing"}
        generation_id = await submit(parts)
        await complete(parts, comfyui, generation_id, outputs=outputs)

        async def states() -> list[str]:
            return [image.state.value for image in (await show(parts, generation_id)).images]

        async def all_known() -> bool:
            return "expected" not in await states()

        await until(all_known)

        assert await states() == ["kept", "missing", "corrupt"]
        await the_queue_goes_on(parts, comfyui)
