"""A newer frontend than the real ComfyUI's own: the panels must work on both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfy_nodes import locations
from install import step
from real.comfyui import ComfyUIProgram, unpack_from_package

PACKAGE = "comfyui-frontend-package==1.58.1"
FOLDER_IN_PACKAGE = "comfyui_frontend_package/static/"


def fetch_newer_frontend(program: ComfyUIProgram) -> Path:
    """The folder to pass to ComfyUI as `--front-end-root`."""

    def unpack(folder: Path) -> dict[str, Any]:
        with step("Fetching a newer frontend (30 MB)"):
            unpack_from_package(program.python, PACKAGE, FOLDER_IN_PACKAGE, folder)
        return {}

    folder = locations.cache_folder() / "real" / PACKAGE.replace("==", "-")
    locations.make_once(folder, unpack)
    return folder
