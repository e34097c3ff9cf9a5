"""Small workflows for the real ComfyUI."""

from __future__ import annotations

import random
from typing import Any

Workflow = dict[str, dict[str, Any]]


def small_picture(*, width: int = 64, height: int = 64, images: int = 1) -> Workflow:
    """One that writes files each time: the colour is drawn, so that ComfyUI's cache does not know it."""
    size = {"width": width, "height": height, "batch_size": images, "color": random.randrange(2**24)}
    return {
        "1": {"class_type": "EmptyImage", "inputs": size},
        "2": {"class_type": "GenonautSaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "tests/picture"}},
    }


def slow_picture(*, millions_of_pixels: int = 60) -> Workflow:
    """One that ComfyUI works on for about a second for each ten million pixels, and that can be interrupted."""
    workflow = small_picture(width=1000, height=1000, images=1)
    previous = "1"
    for step in range(millions_of_pixels):
        node_id = f"blur{step}"
        inputs = {"image": [previous, 0], "blur_radius": 3, "sigma": 1.0}
        workflow[node_id] = {"class_type": "ImageBlur", "inputs": inputs}
        previous = node_id
    workflow["2"]["inputs"]["images"] = [previous, 0]
    return workflow
