"""What is known already is not asked again."""

from __future__ import annotations

from fakes.comfyui import ScriptedComfyUI

from .conftest import StartSidecar, show, submit, until, until_state


class CountingComfyUI(ScriptedComfyUI):
    """Counts how often its journal is read."""

    looks = 0

    def entries_after(self, sequence):
        self.looks += 1
        return super().entries_after(sequence)


async def test_outcomes_that_came_together_are_asked_for_once(start_sidecar: StartSidecar):
    """Each has its own message; the first one's answer brings them all."""
    comfyui = CountingComfyUI()
    async with comfyui.served(), start_sidecar(comfyui) as parts:
        both = [await submit(parts), await submit(parts)]
        await until(lambda: len(comfyui.pending) == 2)
        looks_before = comfyui.looks
        for generation_id in both:
            comfyui._write(str(generation_id), status="completed", outputs={}, error=None)
        comfyui.pending.clear()
        for sequence in (comfyui.sequence, comfyui.sequence - 1):
            await comfyui.tell("outcome", {"sequence": sequence})
        for generation_id in both:
            await until_state(parts, generation_id, "completed")
        await comfyui.tell("outcome", {"sequence": comfyui.sequence})
        third = await submit(parts)
        await until(lambda: str(third) in comfyui.pending)
        await comfyui.start(str(third))
        await until_state(parts, third, "running")

    assert comfyui.looks == looks_before + 1


async def test_an_outcome_that_was_told_is_written_down_without_reading_the_journal(start_sidecar: StartSidecar):
    """And confirmed on the way on which it came, so that the journal forgets it."""
    comfyui = CountingComfyUI()
    async with comfyui.served(), start_sidecar(comfyui) as parts:
        first, second = [await submit(parts), await submit(parts)]
        await until(lambda: len(comfyui.pending) == 2)
        await comfyui.start(str(first))
        await comfyui.finish(str(first))
        await until_state(parts, first, "completed")
        looks_before = comfyui.looks
        await comfyui.start(str(second))
        await comfyui.finish(str(second))
        await until_state(parts, second, "completed")
        await until(lambda: not comfyui.entries)

    assert comfyui.looks == looks_before


async def test_what_was_missed_is_read_from_the_journal(start_sidecar: StartSidecar):
    """News that got lost, such as in a full queue: those that come next do not follow, and the journal has them all."""
    comfyui = CountingComfyUI()
    async with comfyui.served(), start_sidecar(comfyui) as parts:
        first, second = [await submit(parts), await submit(parts)]
        await until(lambda: len(comfyui.pending) == 2)
        comfyui._write(str(first), status="completed", outputs={}, error=None)
        comfyui.news()  # told to nobody
        comfyui.pending.remove(str(first))
        await comfyui.start(str(second))
        await comfyui.finish(str(second))
        await until_state(parts, second, "completed")

        assert (await show(parts, first)).state == "completed"
