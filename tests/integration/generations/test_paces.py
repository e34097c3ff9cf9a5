"""How long generations take is learned while they are recorded."""

from __future__ import annotations

from fakes.comfyui import ScriptedComfyUI

from sidecar.instances.models import Pace
from sidecar.instances.paces import learn

from .conftest import StartSidecar


async def test_two_of_a_kind_that_end_together_are_both_learned_from(start_sidecar: StartSidecar):
    """The first that an instance made with a checkpoint, and the second, in one transaction."""
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        (instance,) = await parts.instances.all()
        async with parts.database.writing() as session:
            with session.no_autoflush:
                await learn(session, instance.id, "a.safetensors", 1.0)
                await learn(session, instance.id, "a.safetensors", 3.0)
            pace = await session.get_one(Pace, (instance.id, "a.safetensors"))

            assert (pace.count, pace.mean_s) == (2, 2.0)
