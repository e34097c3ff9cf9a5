"""Chromium: without windows where it can be had, else the one that is there, else Debian's where we may install it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from comfy_nodes.locations import SetupFailed
from real.debian import install_from_debian

SHELL = "chromium-headless-shell"
"""Chromium for programs: the same pages for less than half of the CPU."""
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
    found = next(chosen_or_shell(), None)
    if found is None:
        with suppress(SetupFailed):  # not every Debian has it, and there is a second way
            install_from_debian(SHELL, megabytes=65)
        found = next(chosen_or_shell(), None) or next(installed(), None)
    if found is None and install_from_debian("chromium", megabytes=150):
        found = next(installed(), None)
    if found is None:
        raise SetupFailed(
            "The tests need Chromium or Chrome; install one (on Debian: sudo apt install chromium), "
            "or set GENONAUT_CHROMIUM to its program, and run this again."
        )
    return found


def chosen_or_shell() -> Iterator[Path]:
    return files(os.environ.get("GENONAUT_CHROMIUM"), shutil.which(SHELL))


def installed() -> Iterator[Path]:
    return files(*(shutil.which(name) for name in NAMES), *ELSEWHERE)


def files(*places: str | None) -> Iterator[Path]:
    return (Path(place) for place in places if place and Path(place).is_file())
