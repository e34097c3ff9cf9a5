"""Two servers and one data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from integration.backends import only_embedded
from real.http import answers
from real.processes import LOOPBACK, Program, free_port

from sidecar import sole_use
from sidecar.cli import main
from sidecar.cli import start_server as start_another
from sidecar.errors import SettingsUnusable
from sidecar.settings import read_settings

pytestmark = only_embedded("with servers there may be several processes")

PROJECT = Path(__file__).parents[2]
READY_WITHIN_S = 60.0


def start_server(folder: Path, name: str) -> Program:
    port = free_port()
    settings = {
        "GENONAUT_DATA": str(folder),
        "GENONAUT_PORT": str(port),
        "GENONAUT_COMFYUI_URL": f"http://{LOOPBACK}:9",
    }
    command = [sys.executable, "-m", "sidecar.cli", "serve"]
    program = Program(command, log=folder / f"{name}.log", environment={**os.environ, **settings}, folder=PROJECT)
    try:
        program.wait_until(lambda: answers(f"http://{LOOPBACK}:{port}/health/live"), within_s=READY_WITHIN_S, name=name)
    except BaseException:
        program.stop()
        raise
    return program


def test_a_second_server_on_one_data_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would take back what the other is just sending. What drives no ComfyUI may use the folder meanwhile."""
    monkeypatch.setattr(sole_use, "PATIENCE_S", 0.0)
    monkeypatch.setenv("GENONAUT_DATA", str(tmp_path))
    monkeypatch.setenv("GENONAUT_PORT", str(free_port()))
    with start_server(tmp_path, "first"):
        with pytest.raises(SettingsUnusable, match="Another sidecar is using the data folder") as refused:
            start_another(read_settings()).close()
        listed = main(["models", "list"])

    assert str(tmp_path) in refused.value.message
    assert listed == 0


def test_the_folder_of_a_server_that_was_killed_is_free_at_once(tmp_path: Path) -> None:
    """The kernel lets go of what a dead process held."""
    killed = start_server(tmp_path, "first")
    killed.kill()

    with sole_use.take(tmp_path):
        pass


def test_whoever_comes_while_another_is_stopping_waits_for_it(tmp_path: Path) -> None:
    """A restart is two processes that overlap for a moment."""
    hold = (
        "import sys, time; from pathlib import Path; from sidecar import sole_use\n"
        "held = sole_use.take(Path(sys.argv[1])); print(flush=True); time.sleep(0.5)\n"
        "Path(sys.argv[1], 'stopped').touch()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE) as stopping:
        assert stopping.stdout
        stopping.stdout.readline()
        with sole_use.take(tmp_path):
            assert (tmp_path / "stopped").exists()
