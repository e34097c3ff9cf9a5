"""What the demo and the tests start, they stop."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from real import processes
from real.processes import Program

from comfy_nodes.locations import SetupFailed

STARTS_ANOTHER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
STARTS_A_SERVER = """
import sys, time
from pathlib import Path
from real.processes import Program
server = Program([sys.executable, "-c", "import time; time.sleep(600)"], log=Path(sys.argv[1]), outlives_us=False)
print(server.pid, flush=True)
time.sleep(600)
"""
IGNORES_INTERRUPTS = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


def start(source: str, tmp_path: Path) -> Program:
    program = Program([sys.executable, "-c", source], log=tmp_path / "log")
    program.wait_until(lambda: program.log.read_text(encoding="utf-8").endswith("\n"), within_s=20, name="The program")
    return program


@pytest.mark.skipif(os.name == "nt", reason="Windows ends the whole tree at once")
def test_stopping_a_program_stops_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A sidecar is in a group of its own, so that it does not hear the interrupt; it must go all the same.
    """
    monkeypatch.setattr(processes, "STOP_GRACE_S", 0.5)
    program = start(STARTS_ANOTHER, tmp_path)
    child = int(program.log.read_text(encoding="utf-8"))

    program.stop()

    assert not program.is_running()
    assert not is_running_by_proc(child)


@pytest.mark.skipif(os.name == "nt", reason="Windows asks nobody")
def test_a_program_that_does_not_hear_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    After the grace, without asking.
    """
    monkeypatch.setattr(processes, "STOP_GRACE_S", 0.5)
    program = start(IGNORES_INTERRUPTS, tmp_path)

    program.stop()

    assert not program.is_running()


def test_a_program_that_ends_while_it_starts_shows_its_log(tmp_path: Path) -> None:
    """
    Nobody waits out the whole time for what has ended already, and the reason is in the message.
    """
    program = Program([sys.executable, "-c", "print('the reason')"], log=tmp_path / "log")

    with pytest.raises(SetupFailed, match=r"(?s)ended while it started.*the reason"):
        program.wait_until(lambda: False, within_s=60, name="The program")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at the server by /proc")
def test_a_server_of_the_tests_ends_with_them_also_when_they_are_killed(tmp_path: Path) -> None:
    """
    Nobody is left to stop it then, and its group is its own.
    """
    tests = Path(processes.__file__).parents[1]
    paths = os.pathsep.join((str(tests), str(tests.parent)))
    command = [sys.executable, "-c", STARTS_A_SERVER, str(tmp_path / "server.log")]
    run = Program(command, log=tmp_path / "log", environment={**os.environ, "PYTHONPATH": paths})
    run.wait_until(lambda: run.log.read_text(encoding="utf-8").endswith("\n"), within_s=20, name="The tests")
    server = int(run.log.read_text(encoding="utf-8"))

    run.kill()

    assert not is_running_by_proc(server)


def is_running_by_proc(pid: int) -> bool:
    """Also where nobody has taken note of its end yet: then the process is a zombie."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
                return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.1)
    return True
