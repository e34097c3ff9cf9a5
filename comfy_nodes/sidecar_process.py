"""
Starts the sidecar beside ComfyUI where none answers, and starts it again when it ends.

Everything here happens in a thread of its own: ComfyUI starts no slower for it. The sidecar watches ComfyUI's process
id, so that it ends even when ComfyUI is killed; a ComfyUI that ends properly stops it.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .pairing import pairing_of
from .settings import OPEN, PackSettings
from .sidecar_proof import STRANGER, Answering, who_answers

log = logging.getLogger("genonaut.process")

LOOK_INTERVAL_S = 2.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
RAN_WELL_S = 60.0
STOP_GRACE_S = 10.0
LOG_LIMIT_BYTES = 5 * 1024**2

# Not among those who get ComfyUI's Ctrl-C (it is stopped after ComfyUI, not with it), and without a window.
if sys.platform == "win32":
    OF_ITS_OWN = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    OF_ITS_OWN = 0  # elsewhere a session of its own does that


class SidecarProcess:
    """Watches over one sidecar. One a process; without a command it only says, once, what is missing."""

    def __init__(
        self,
        settings: PackSettings,
        *,
        command: list[str] | None,
        pack_folder: Path,
        comfyui_url: str,
        before_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._pack_folder = pack_folder
        self._before_stop = before_stop
        self._command = command
        self._environment = sidecar_environment(settings, comfyui_url)
        self._log_file = settings.data_folder / "sidecar.log"
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stranger_is_there = False

    def watch(self) -> None:
        """Begin to watch, in the background, until ComfyUI ends."""
        atexit.register(self.stop)
        threading.Thread(target=self._watch, name="genonaut-sidecar", daemon=True).start()

    def stop(self) -> None:
        """Stop the sidecar if this process started it."""
        self._stopping.set()
        with self._lock:
            child = self._child
        if child is None or child.poll() is not None:
            return
        self._before_stop()
        child.terminate()
        try:
            child.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _watch(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            answering = who_answers(self._settings.sidecar_url, pairing_of(self._settings.pairing_secret))
            self._warn_of_stranger(answering)
            if answering is not Answering.NOBODY:
                self._stopping.wait(LOOK_INTERVAL_S)
                continue
            if self._command is None:
                self._say_what_is_missing()
                return
            started_at = time.monotonic()
            try:
                self._run_once(self._command)
            except OSError:
                log.exception("The sidecar could not be started with %s.", self._command[0])
            pause_s = FIRST_PAUSE_S if time.monotonic() - started_at > RAN_WELL_S else min(pause_s * 2, LONGEST_PAUSE_S)
            self._stopping.wait(pause_s)

    def _warn_of_stranger(self, answering: Answering) -> None:
        is_there = answering is Answering.STRANGER
        if is_there and not self._stranger_is_there:
            log.error("The sidecar cannot be started at %s: %s.", self._settings.sidecar_url, STRANGER)
        self._stranger_is_there = is_there

    def _say_what_is_missing(self) -> None:
        log.warning(
            "Genonaut's sidecar is not set up yet, so %s: run %s with ComfyUI's Python (%s) and start ComfyUI again.",
            "prompts run without it" if self._settings.access == OPEN else "nobody can log in",
            self._pack_folder / "install.py",
            sys.executable,
        )

    def _run_once(self, command: list[str]) -> None:
        keep_small(self._log_file)
        with self._log_file.open("ab") as output, self._lock:
            if self._stopping.is_set():
                return
            self._child = child = self._start(command, output.fileno())
        log.info("The sidecar is started at %s; its log is %s.", self._settings.sidecar_url, self._log_file)
        while (status := wait_for(child, LOOK_INTERVAL_S)) is None:
            # Windows cuts no file that another process writes to; there it happens at each start.
            if sys.platform != "win32":
                keep_small(self._log_file)
        if not self._stopping.is_set():
            log.warning("The sidecar ended with status %s and is started again; %s says why.", status, self._log_file)

    def _start(self, command: list[str], output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=self._pack_folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            creationflags=OF_ITS_OWN,
            start_new_session=sys.platform != "win32",
        )


def sidecar_environment(settings: PackSettings, comfyui_url: str) -> dict[str, str]:
    # ComfyUI's own Python must not leak into the sidecar's, which has an environment of its own.
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    return {
        **kept,
        "GENONAUT_DATA": str(settings.data_folder),
        "GENONAUT_PORT": str(settings.sidecar_port),
        "GENONAUT_ACCESS": settings.access,
        "GENONAUT_COMFYUI_URL": comfyui_url,
        "GENONAUT_PARENT_PID": str(os.getpid()),
        "PYTHONUNBUFFERED": "1",
    }


def wait_for(child: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def keep_small(file: Path) -> None:
    """Move a log that has grown too large aside; whoever writes to it goes on at the beginning."""
    try:
        if file.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(file, file.with_name(file.name + ".1"))
            os.truncate(file, 0)
    except FileNotFoundError:
        return
    except OSError:
        log.warning("The log %s cannot be made smaller.", file, exc_info=True)
