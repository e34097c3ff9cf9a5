"""
A node for the benchmarks' ComfyUIs, which have it as a file of their `custom_nodes`.

It works as a graphics card does, as far as the machine around it can tell: for as long as it is told it leaves the
processor to others, and it says at each step how far it is.
"""

from __future__ import annotations

import time
from typing import Any

from comfy.utils import ProgressBar

STEPS = 20


class WorkOnACard:
    CATEGORY = "benchmarks"
    FUNCTION = "work"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        return {"required": {"image": ("IMAGE",), "seconds": ("FLOAT", {"default": 1.0})}}

    def work(self, image: Any, seconds: float) -> tuple[Any]:
        progress = ProgressBar(STEPS)
        for _ in range(STEPS):
            time.sleep(seconds / STEPS)
            progress.update(1)
        return (image,)


NODE_CLASS_MAPPINGS = {"WorkOnACard": WorkOnACard}
