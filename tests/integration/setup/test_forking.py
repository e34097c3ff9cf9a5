"""A ComfyUI that was forked is as good as one that was started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real.comfyui import ComfyUIProgram
from real.forking import ForkedProcess, ForkServer, can_fork

pytestmark = pytest.mark.skipif(not can_fork(), reason="ComfyUI is started, not forked, on this system")

PROGRAM = """
import os, subprocess, sys, time
import beside_it
print(__name__, sys.argv, os.environ["WANTED"], os.getcwd(), "colorsys" in sys.modules, flush=True)
print(subprocess.run([sys.executable, "-c", "print('a child of its own')"]).returncode, flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("interrupted")
"""
SECONDS = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "main.py").write_text(PROGRAM, encoding="utf-8")
    (folder / "beside_it.py").touch()
    server = ForkServer(ComfyUIProgram(folder, Path(sys.executable)), modules=["colorsys"])
    yield server
    server.end()


def started(server: ForkServer, log: Path) -> ForkedProcess:
    process = server.start(["--cpu"], {"WANTED": "here"}, log)
    deadline = time.monotonic() + SECONDS
    while not (log.exists() and log.read_text(encoding="utf-8").count("\n") == 3):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_it_runs_as_if_it_had_been_started(server: ForkServer, tmp_path: Path) -> None:
    """
    With its arguments, environment, folder and log, with what lies beside it, and with children that it can wait for;
    Ctrl-C ends it in good order.
    """
    log = tmp_path / "log"
    process = started(server, log)
    ran_before_it_ended = process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(signal.SIGINT)
    process.wait(SECONDS)

    assert ran_before_it_ended
    assert process.poll() is not None
    assert log.read_text(encoding="utf-8").splitlines() == [
        f"__main__ ['main.py', '--cpu'] here {tmp_path / 'program'} True",
        "a child of its own",
        "0",
        "interrupted",
    ]


def test_it_can_be_killed_while_another_runs(server: ForkServer, tmp_path: Path) -> None:
    """
    Each is a process of its own, and what is done to one that has ended reaches nobody.
    """
    first, second = started(server, tmp_path / "first"), started(server, tmp_path / "second")
    first.kill()
    first.wait(SECONDS)
    first.kill()
    second_runs_on = second.poll() is None
    second.kill()
    second.wait(SECONDS)

    assert second_runs_on
    assert "interrupted" not in (tmp_path / "first").read_text(encoding="utf-8")
