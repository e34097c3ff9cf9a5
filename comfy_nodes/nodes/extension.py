"""The list of nodes, as ComfyUI asks for it."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from .save_image import SaveImage
from .tag_generation import TagGeneration


class GenonautExtension(ComfyExtension):  # type: ignore[misc] # known only inside ComfyUI
    """Genonaut's nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [SaveImage, TagGeneration]
