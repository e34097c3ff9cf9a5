"""
One server for each data folder with a SQLite file: a second one would take back what the first is just sending.

Other programs may use the file meanwhile (`genonaut models`): they drive no ComfyUI.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import BinaryIO

import structlog

from sidecar.errors import SettingsUnusable

LOCK_FILE = "sidecar.lock"
PATIENCE_S = 10.0  # a sidecar that is just stopping ends what runs; one that was killed holds nothing any more
LOOK_EVERY_S = 0.1

log = structlog.get_logger(__name__)


def take(folder: Path) -> BinaryIO:
    """
    Have the folder to oneself until the file is closed, or the process ends in whichever way.

    Raises:
        SettingsUnusable: Another process has it.
    """
    handle = (folder / LOCK_FILE).open("a+b")
    try:
        wait_for_lock(handle, folder)
    except BaseException:
        handle.close()
        raise
    return handle


def wait_for_lock(handle: BinaryIO, folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    try:
        while not try_to_lock(handle.fileno()):
            if time.monotonic() > deadline:
                raise SettingsUnusable(
                    f"Another sidecar is using the data folder {folder}. Stop that one, or set GENONAUT_DATA to "
                    "another folder; to share one sidecar, give both ComfyUIs the same GENONAUT_SIDECAR_URL."
                )
            time.sleep(LOOK_EVERY_S)
    except OSError as exc:
        log.warning("data_folder_not_locked", folder=str(folder), reason=f"its disk knows no locks: {exc.strerror}")


if sys.platform == "win32":
    import msvcrt

    def try_to_lock(descriptor: int) -> bool:
        """Lock a file for this process; False where another has it. OSError: this disk knows no locks."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:  # EACCES is the C library's word for a file that is locked
            return False
        return True

else:
    import fcntl

    def try_to_lock(descriptor: int) -> bool:
        """Lock a file for this process; False where another has it. OSError: this disk knows no locks."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
