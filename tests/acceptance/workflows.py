"""What the tests have ComfyUI do."""

from __future__ import annotations

import random
from typing import Any

from real.demo import core_workflow

Workflow = dict[str, dict[str, Any]]

SAVE_NODE, SAMPLER_NODE = "8", "6"


def quick_picture() -> Workflow:
    """Milliseconds of work. Its colour is drawn, so that ComfyUI's cache does not know it."""
    size = {"width": 64, "height": 64, "batch_size": 1, "color": random.randrange(2**24)}
    return {
        "1": {"class_type": "EmptyImage", "inputs": size},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "tests/quick"}},
    }


def checkpoint_picture(*, save_node: str = "GenonautSaveImage", steps: int = 2) -> Workflow:
    """The core workflow with checkpoint and LoRA: 0.1 s of work with two steps, seconds with a hundred and more."""
    workflow = core_workflow(random.getrandbits(63))
    workflow[SAMPLER_NODE]["inputs"]["steps"] = steps
    workflow[SAVE_NODE] = {
        "class_type": save_node,
        "inputs": {"images": ["7", 0], "filename_prefix": "tests/lighthouse"},
    }
    return workflow


def slow_picture(steps: int = 150) -> Workflow:
    """Several seconds of work that can be interrupted after each step."""
    return checkpoint_picture(steps=steps)
