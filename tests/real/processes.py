"""
Starts a real ComfyUI with the pack in it, and stops it with everything that it started.

    with start_comfyui(fetch_comfyui(), base=folder, pack=PACK_FOLDER) as comfyui:
        post_json(f"{comfyui.url}/prompt", ...)
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from comfy_nodes.locations import SetupFailed
from real.comfyui import ComfyUIProgram
from real.forking import ForkedProcess, can_fork, fork_server
from real.http import serves

PACK_NAME = "comfyui-genonaut"
LOOPBACK = "127.0.0.1"
READY_WITHIN_S = 180.0
STOP_GRACE_S = 20.0
LOOK_EVERY_S = 0.1
LOG_LINES_SHOWN = 15
# What a checkout holds besides the pack.
NOT_COPIED = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".hypothesis", "node_modules")
WITHOUT_A_PAGE = ("--disable-api-nodes",)
"""Where nobody looks at the page, ComfyUI may leave out what costs a fifth of its start."""
FOLDERS_OF_A_BASE = ("custom_nodes", "input", "models", "output", "user")

INTERRUPT_AT_END_OF_INPUT = """
import os, signal, sys
sys.stdin.read()
try:
    os.kill(int(sys.argv[1]), signal.SIGINT)
except OSError:
    pass  # it has ended before
"""


class Program:
    """A program that runs until it is stopped. Its output goes to a file."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        account: str | None = None,
        outlives_us: bool = True,
    ) -> None:
        """
        Start it, in a group of its own, so that a Ctrl-C in the terminal stops it only through us.

        Args:
            account: Whom to run it as, where that is not us.
            outlives_us: Whether it stays when we are killed before we could stop it; else it is interrupted then.

        Raises:
            SetupFailed: It cannot be started.
        """
        self.log = log
        self._command = command
        self._environment = environment
        self._folder = folder
        self._account = account
        self._outlives_us = outlives_us
        self._start()

    def _start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        hear_interrupts()
        try:
            self._process = self._begin()
        except OSError as exc:
            raise SetupFailed(f"{self._command[0]} cannot be started ({exc.strerror}).") from exc
        self._watch = None if self._outlives_us else watch_for_our_end(self.pid)

    def _begin(self) -> subprocess.Popen[bytes] | ForkedProcess:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=self._account,
                start_new_session=True,  # means nothing on Windows, where the flags say it
                creationflags=GROUP_FLAGS,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], *, within_s: float, name: str, log: Path | None = None) -> None:
        """
        Wait for the program, or for something that it starts and that has a log of its own, to be ready.

        Raises:
            SetupFailed: The program ended before, or it took too long. The end of the log is in the message.
        """
        deadline = time.monotonic() + within_s
        while not ready():
            if not self.is_running():
                raise SetupFailed(f"{name} ended while it started. {end_of(self.log)}")
            if time.monotonic() > deadline:
                raise SetupFailed(f"{name} was not ready in {within_s:.0f} s. {end_of(log or self.log)}")
            time.sleep(LOOK_EVERY_S)

    def stop(self) -> None:
        """As Ctrl-C would; what it started and left behind goes too. Stopping twice is fine."""
        started_by_it = descendants(self.pid) if self.is_running() else []
        if self.is_running():
            self._process.send_signal(interrupt())
            try:
                self._process.wait(STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                self.kill()
        end_all(started_by_it, within_s=STOP_GRACE_S)
        self._stop_watching()

    def kill(self) -> None:
        """`kill -9`: it gets no chance to do anything more. What it started is not touched."""
        self._process.kill()
        self._process.wait()
        self._stop_watching()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.kill()
            self._watch.communicate()  # closes the pipe, too
            self._watch = None

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class RunningComfyUI(Program):
    """A ComfyUI that answers."""

    url: str
    base: Path

    def __init__(
        self,
        program: ComfyUIProgram,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        forked: bool,
    ) -> None:
        self._program = program
        self._arguments = arguments
        self._forked = forked and can_fork()
        super().__init__(
            [str(program.python), "main.py", *arguments], log=log, environment=environment, folder=program.folder
        )

    def _begin(self) -> subprocess.Popen[bytes] | ForkedProcess:
        if not self._forked:
            return super()._begin()
        return fork_server(self._program).start(self._arguments, self._environment or {}, self.log)

    def __enter__(self) -> RunningComfyUI:
        return self

    def start_again(self) -> None:
        """On the same port, in the same folder, after it was killed."""
        self._start()
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        self.wait_until(lambda: serves(f"{self.url}/queue"), within_s=READY_WITHIN_S, name="ComfyUI")


def start_comfyui(
    program: ComfyUIProgram,
    *,
    base: Path,
    pack: Path | None = None,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
    arguments: Iterable[str] = (),
    forked: bool = False,
) -> RunningComfyUI:
    """
    Start a ComfyUI whose models, images, users and packs all lie in `base`, and wait until it answers.

    Args:
        pack: The checkout to put in as a pack; None for ComfyUI alone.
        port: None for a free one.
        environment: Variables besides those of this process.
        forked: From a process that has imported its libraries already (`forking.py`), where that can be.

    Raises:
        SetupFailed: The port is taken, or ComfyUI does not come up.
    """
    port = port or free_port()
    require_free(port, "ComfyUI", "--port")
    for name in FOLDERS_OF_A_BASE:
        (base / name).mkdir(parents=True, exist_ok=True)
    if pack:
        put_pack_into(base, pack)
    comfyui = RunningComfyUI(
        program,
        [
            *program.arguments,
            *("--listen", LOOPBACK, "--port", str(port), "--base-directory", str(base)),
            *("--database-url", f"sqlite:///{(base / 'user' / 'comfyui.db').as_posix()}"),
            *("--disable-auto-launch", *arguments),
        ],
        log=base / "comfyui.log",
        environment={**program.environment(), "PYTHONUNBUFFERED": "1", **(environment or {})},
        forked=forked,
    )
    comfyui.url = f"http://{LOOPBACK}:{port}"
    comfyui.base = base
    try:
        comfyui.wait_until_it_answers()
    except BaseException:
        comfyui.stop()
        raise
    return comfyui


def watch_for_our_end(pid: int) -> subprocess.Popen[bytes]:
    """A process that interrupts another one as soon as the pipe from us has ended, however we came to our end."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", INTERRUPT_AT_END_OF_INPUT, str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=GROUP_FLAGS,
    )


def end_of(log: Path) -> str:
    if not log.exists():
        return f"It wrote no log ({log})."
    with log.open(encoding="utf-8", errors="replace") as lines:
        return f"The end of {log}:\n{''.join(deque(lines, LOG_LINES_SHOWN)).rstrip()}"


def put_pack_into(base: Path, pack: Path) -> None:
    """As a link; as a copy on Windows, where links need a right that people do not have."""
    place = base / "custom_nodes" / PACK_NAME
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    if os.name == "nt":
        shutil.copytree(pack, place, ignore=NOT_COPIED)
    else:
        place.symlink_to(pack, target_is_directory=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def require_free(port: int, program: str, option: str) -> None:
    """
    Nobody listens on this port.

    Raises:
        SetupFailed: Somebody does.
    """
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise SetupFailed(
                f"Port {port} for {program} is taken; stop what listens there or choose another with {option}."
            )


# Signals and groups, which each operating system has in its own way

if sys.platform == "win32":
    GROUP_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP

    def interrupt() -> int:
        return int(signal.CTRL_BREAK_EVENT)

    def descendants(pid: int) -> list[int]:
        """Windows ends them here and now: it has no way to ask them."""
        subprocess.run(["taskkill", "/T", "/PID", str(pid)], check=False, capture_output=True)
        return []

    def end_all(pids: Iterable[int], *, within_s: float) -> None:
        """`descendants` has done it."""

else:
    GROUP_FLAGS = 0

    def interrupt() -> int:
        return int(signal.SIGINT)

    def descendants(pid: int) -> list[int]:
        """The process ids of all that this process started, and what those started."""
        children: dict[int, list[int]] = {}
        for child, parent in parents():
            children.setdefault(parent, []).append(child)
        found, waiting = [], [pid]
        while waiting:
            started = children.get(waiting.pop(), [])
            found += started
            waiting += started
        return found

    def parents() -> list[tuple[int, int]]:
        """Every process of this machine with its parent."""
        if Path("/proc/self/stat").exists():
            return [pair for entry in Path("/proc").iterdir() if entry.name.isdigit() for pair in parent_of(entry)]
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
        return [(int(pid), int(parent)) for pid, parent in (line.split() for line in listed.splitlines())]

    def parent_of(process: Path) -> list[tuple[int, int]]:
        try:
            # pid (name) state ppid ...; a name may hold spaces and brackets itself.
            after_name = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        except OSError:  # it ended meanwhile
            return []
        return [(int(process.name), int(after_name.split()[1]))]

    def end_all(pids: Iterable[int], *, within_s: float) -> None:
        """Wait until they have ended by themselves; end what has not by then."""
        deadline = time.monotonic() + within_s
        left = [pid for pid in pids if is_alive(pid)]
        while left and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
            left = [pid for pid in left if is_alive(pid)]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def is_alive(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True


def hear_interrupts() -> None:
    """
    Let children be interrupted, also where a shell started us in the background and had us ignore Ctrl-C.

    What is ignored here would be ignored by every child too, and ComfyUI ends in good order only on an interrupt.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
