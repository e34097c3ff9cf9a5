"""Generations whose images come in after they have ended."""

from __future__ import annotations

import io

from fakes.comfyui import ScriptedComfyUI
from PIL import Image
from sqlalchemy import update

from sidecar.gallery.models import Image as KeptImage
from sidecar.gallery.models import ImageState

from .conftest import StartSidecar, show, submit, until, until_state

OUTPUTS = {"2": {"images": [{"filename": "picture.png", "subfolder": "", "type": "output"}]}}


async def test_an_image_that_was_kept_makes_its_generation_newer(start_sidecar: StartSidecar):
    """Of two tellings, with the image and without it, a browser must know which one is true."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    async with ScriptedComfyUI().served() as comfyui, start_sidecar(comfyui) as parts:
        comfyui.files["picture.png"] = file.getvalue()
        generation_id = await submit(parts)

        async def kept() -> bool:
            return [image.state for image in (await show(parts, generation_id)).images] == ["kept"]

        await until(lambda: comfyui.pending)
        await comfyui.finish(str(generation_id), outputs=OUTPUTS)
        await until_state(parts, generation_id, "completed")
        await until(kept)
        async with parts.database.writing() as session:  # as if it had not been fetched yet
            await session.execute(update(KeptImage).values(state=ImageState.EXPECTED.value))
        before = await show(parts, generation_id)
        await parts.admission._queueing.keep_images(generation_id)

        async def newer() -> bool:
            return (await show(parts, generation_id)).updated_at > before.updated_at

        await until(kept)
        await until(newer)
