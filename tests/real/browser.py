"""Chromium: the one that is there, else Debian's where we may install it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from comfy_nodes.locations import SetupFailed
from real.debian import install_from_debian

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
ELSEWHERE = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)


def find_chromium() -> Path:
    """
    The browser for the tests (`GENONAUT_CHROMIUM`, else one that is installed, else it is installed now).

    Raises:
        SetupFailed: There is none and it cannot be installed from here.
    """
    found = next(installed(), None)
    if found is None and install_from_debian("chromium", megabytes=150):
        found = next(installed(), None)
    if found is None:
        raise SetupFailed(
            "The tests need Chromium or Chrome; install one (on Debian: sudo apt install chromium), "
            "or set GENONAUT_CHROMIUM to its program, and run this again."
        )
    return found


def installed() -> Iterator[Path]:
    chosen = os.environ.get("GENONAUT_CHROMIUM")
    on_path = (shutil.which(name) for name in NAMES)
    yield from (Path(place) for place in (chosen, *on_path, *ELSEWHERE) if place and Path(place).is_file())
