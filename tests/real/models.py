"""The small checkpoint and its LoRA, made once and linked to where a ComfyUI looks for them."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from comfy_nodes import locations
from install import run_program, step
from real.comfyui import ComfyUIProgram

CHECKPOINT = "genonaut-small.safetensors"
LORA = "genonaut-small-lora.safetensors"
SCRIPT = Path(__file__).with_name("checkpoint.py")


def make_models(program: ComfyUIProgram) -> Path:
    """The folder with `checkpoints/` and `loras/`; 300 MB of random weights in the shape of Stable Diffusion 1.5."""
    key = hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[: locations.KEY_DIGITS]

    def build(folder: Path) -> dict[str, Any]:
        with step("Making a small checkpoint (300 MB)"):
            run_program(
                [
                    str(program.python),
                    str(SCRIPT),
                    str(folder / "checkpoints" / CHECKPOINT),
                    str(folder / "loras" / LORA),
                ],
                "making the small checkpoint",
                environment=program.environment() | {"PYTHONPATH": python_path_with(program)},
                folder=program.folder,
            )
        return {}

    folder = locations.cache_folder() / "real" / f"models-{key}"
    locations.make_once(folder, build)
    return folder


def python_path_with(program: ComfyUIProgram) -> str:
    """ComfyUI's own modules can be imported too."""
    return os.pathsep.join([*program.python_path, str(program.folder)])


def link_models(models: Path, base: Path) -> None:
    """Give a ComfyUI's base folder the models without copying 300 MB, where the file system can."""
    for kind, name in (("checkpoints", CHECKPOINT), ("loras", LORA)):
        target = base / "models" / kind / name
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(models / kind / name, target)
        except OSError:  # another disk, or a file system without links
            shutil.copyfile(models / kind / name, target)
