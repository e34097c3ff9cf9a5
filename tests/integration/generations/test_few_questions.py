"""What is known already is not asked again."""

from __future__ import annotations

from fakes.comfyui import ScriptedComfyUI

from .conftest import StartSidecar, submit, until, until_state


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
