"""`install.py` as ComfyUI-Manager runs it: a process of its own, with a cache folder of its own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from real.comfyui import fetch_comfyui

from comfy_nodes import locations

PACK = Path(__file__).resolve().parents[3]
SECONDS_FOR_PIP = 300

NO_VENV_MODULE = """
import runpy, sys
sys.modules["venv"] = None
sys.argv = ["install.py"]
runpy.run_path("install.py", run_name="__main__")
"""

BUILD_FOR_EVER = """
import sys, time
from pathlib import Path
from comfy_nodes import locations

def build(folder):
    (folder / "half").touch()
    print("building", flush=True)
    time.sleep(600)

locations.make_once(Path(sys.argv[1]), build)
"""

BUILD_SLOWLY = """
import sys, time
from pathlib import Path
from comfy_nodes import locations

def build(folder):
    print("built", flush=True)
    time.sleep(1)
    return {}

locations.make_once(Path(sys.argv[1]), build)
"""


@pytest.fixture(scope="module")
def python_of_comfyui() -> Path:
    """With pip, and with packages that the sidecar must not see. Asked for before `cache` hides what is there."""
    return fetch_comfyui().python


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENONAUT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run_install(python: str = sys.executable, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *(arguments or ["install.py"])], cwd=PACK, capture_output=True, text=True, check=False
    )


def run_sidecar(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = locations.sidecar_command(PACK, *arguments)
    assert command is not None
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(SECONDS_FOR_PIP)
def test_two_installs_at_once_make_one_environment_that_works() -> None:
    """
    ComfyUI-Manager at start and a person in a terminal: both end well, and whoever comes later finds nothing to do.
    """
    command = [sys.executable, "install.py"]
    began = time.monotonic()
    both = [subprocess.Popen(command, cwd=PACK, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    made_after_s = time.monotonic() - began
    later = run_install()
    found_after_s = time.monotonic() - began - made_after_s

    assert [process.returncode for process in both] == [0, 0]
    assert any(text.startswith("Genonaut's sidecar has its environment") for text in said)
    assert (later.returncode, later.stdout, later.stderr) == (0, "", "")
    assert found_after_s < made_after_s / 2
    assert run_sidecar("check").returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="the broken uv is a shell script")
@pytest.mark.timeout(SECONDS_FOR_PIP)
def test_a_python_without_venv_gets_a_folder_of_packages(
    python_of_comfyui: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The Python of the Windows portable ComfyUI, where uv fails as well: the sidecar runs, and sees none of ComfyUI's
    packages.
    """
    broken_uv = tmp_path / "bin" / "uv"
    broken_uv.parent.mkdir()
    broken_uv.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken_uv.chmod(broken_uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", os.pathsep.join([str(broken_uv.parent), os.environ["PATH"]]))
    monkeypatch.setenv("PIP_COMPILE", "0")  # half of its time, and not what is tested here

    installed = run_install(str(python_of_comfyui), "-c", NO_VENV_MODULE)

    assert (installed.returncode, installed.stderr) == (0, "")
    path_of_sidecar = run_sidecar("timeit", "-n", "1", "-r", "1", "import sys; print(sys.path)").stdout
    assert "site-packages" not in path_of_sidecar
    assert str(cache) in path_of_sidecar
    assert run_sidecar("check").returncode == 0


def test_of_several_builders_one_builds(cache: Path) -> None:
    """
    The others wait until it is done, and take what it made.
    """
    command = [sys.executable, "-c", BUILD_SLOWLY, str(cache / "environments" / "thing")]
    builders = [subprocess.Popen(command, cwd=PACK, stdout=subprocess.PIPE, text=True) for _ in range(3)]

    said = [builder.communicate()[0] for builder in builders]

    assert [builder.returncode for builder in builders] == [0, 0, 0]
    assert sorted(said) == ["", "", "built\n"]


def test_an_install_that_was_killed_is_not_taken_for_whole(cache: Path) -> None:
    """
    `kill -9` in the middle: the next run neither waits for the dead one nor uses what it left.
    """
    folder = cache / "environments" / "thing"
    building = subprocess.Popen(
        [sys.executable, "-c", BUILD_FOR_EVER, str(folder)], cwd=PACK, stdout=subprocess.PIPE, text=True
    )
    with building:
        assert building.stdout is not None
        building.stdout.readline()
        building.kill()

    left_behind = (folder / "half").exists()
    facts = locations.make_once(folder, lambda _: {"made_by": "the next run"})

    assert left_behind
    assert facts == {"made_by": "the next run"}
    assert not (folder / "half").exists()
