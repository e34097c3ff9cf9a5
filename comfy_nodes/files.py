"""Putting a whole file in place of another one, on every operating system."""

from __future__ import annotations

import time
from pathlib import Path

PATIENCE_S = 1.0
LOOK_S = 0.02


def put_in_place(part: Path, file: Path) -> None:
    """
    Give the finished part the file's name.

    On Windows this is refused while anybody has one of the two open, as virus scanners have each new file for a moment.

    Raises:
        OSError: It is refused for longer than a moment, or for another reason.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            part.replace(file)
        except PermissionError:  # noqa: PERF203 - trying again is what this is for
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_S)
        else:
            return
