"""A ComfyUI without the pack, which tells little of what happens to its queue."""

from __future__ import annotations

from contextlib import AsyncExitStack

from fakes.comfyui import ScriptedComfyUI
from fakes.plain_comfyui import PlainComfyUI

from sidecar.comfyui.client import ComfyUIClient
from sidecar.comfyui.dialect import Prompt
from sidecar.identity import uuid7
from sidecar.operations.schemas import InstancePatch
from sidecar.parts import Parts

from .conftest import FIRST, StartSidecar, submit, until, until_state


async def test_what_is_cleared_from_its_queue_stays_away(start_sidecar: StartSidecar):
    """Somebody wanted it gone: it is cancelled, and does not come back."""
    async with PlainComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        ids = [await submit(parts) for _ in range(2)]
        await until(lambda: len(comfyui.pending) == 2)
        await until(lambda: not parts.dispatcher._postings)
        await comfyui.clear_queue()
        for generation_id in ids:
            await until_state(parts, generation_id, "cancelled")

        assert comfyui.posted == [str(generation_id) for generation_id in ids]


async def test_what_was_in_a_queue_that_died_comes_again(start_sidecar: StartSidecar):
    """A new process has an empty queue, too, and nobody has emptied it."""
    comfyui = PlainComfyUI()
    async with AsyncExitStack() as until_it_dies:
        await until_it_dies.enter_async_context(comfyui.served())
        port = int(comfyui.url.rsplit(":", 1)[1])
        async with start_sidecar(comfyui) as parts:
            generation_id = await submit(parts)
            await until(lambda: comfyui.pending)
            await until(lambda: not parts.dispatcher._postings)
            await until_it_dies.aclose()
            async with comfyui.served(port):
                await until(lambda: comfyui.pending)
                await comfyui.finish(str(generation_id))
                await until_state(parts, generation_id, "completed")

    assert comfyui.posted == [str(generation_id)] * 2


async def test_of_two_prompts_with_one_id_one_is_taken_out():
    """Its answer took too long, it was sent again, and then both arrived."""
    async with PlainComfyUI().served() as comfyui:
        client = ComfyUIClient(comfyui.url, "", instance_id=FIRST)
        client.learn(has_pack=False, directories={})
        prompt_id = str(uuid7())
        await client.submit_prompt(Prompt(prompt_id, workflow={}))
        comfyui.pending.append(prompt_id)

        async def expected() -> list[str]:
            return [prompt_id]

        look = await client.look(after=0, expected=expected)
        await client.close()

    assert (look.pending, comfyui.pending) == ([prompt_id], [prompt_id])


async def test_where_the_pack_was_nobody_without_it_is_given_anything_until_an_administrator_says_so(
    start_sidecar: StartSidecar,
):
    """Whoever takes a ComfyUI's port need only say that there is no pack; and nobody's files are safe without it."""
    with_pack, without = ScriptedComfyUI(), PlainComfyUI()
    async with AsyncExitStack() as until_it_ends:
        await until_it_ends.enter_async_context(with_pack.served())
        port = int(with_pack.url.rsplit(":", 1)[1])
        async with start_sidecar(with_pack) as parts:
            await until(lambda: with_pack.told)
            await until_it_ends.aclose()
            async with without.served(port):
                generation_id = await submit(parts)
                await until(lambda: reason_of_first(parts, "has no pack"))
                given_before = list(without.posted)
                (instance,) = await parts.instances.all()
                await parts.instance_desk.change(instance.id, InstancePatch(wanted="active"))
                await until(lambda: without.posted)

    assert given_before == []
    assert without.posted == [str(generation_id)]


async def reason_of_first(parts: Parts, told: str) -> bool:
    (instance,) = await parts.instances.all()
    return told in instance.reason
