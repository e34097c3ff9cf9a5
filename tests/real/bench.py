"""`install.py bench`: runs `tests/benchmarks` in the tests' environment; arguments are passed on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from install import PACK_FOLDER, make_sidecar_environment
from real.checks import TESTS, make_tests_environment
from real.comfyui import fetch_comfyui
from real.models import make_models


def main(arguments: Sequence[str]) -> int:
    python = make_tests_environment()
    make_sidecar_environment()
    make_models(fetch_comfyui())
    search_path = os.pathsep.join([str(PACK_FOLDER), str(TESTS)])
    return subprocess.run(
        [str(python), "-m", "benchmarks", *arguments], env={**os.environ, "PYTHONPATH": search_path}, check=False
    ).returncode
