"""The journal that is this ComfyUI's: those that are started from one folder have one each."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import BinaryIO

from .locations import try_to_lock
from .outcome_journal import OutcomeJournal

log = logging.getLogger("genonaut")

MOST_JOURNALS = 16


def open_journal(folder: Path) -> OutcomeJournal:
    """
    Open a journal that no other ComfyUI writes to.

    The lock lives as long as the process, however that ends.

    Raises:
        OSError: Every journal is taken, or the folder cannot be written.
    """
    for number in range(1, MOST_JOURNALS + 1):
        file = folder / ("outcomes.jsonl" if number == 1 else f"outcomes-{number}.jsonl")
        lock = file.with_suffix(".lock").open("a+b")
        if may_be_ours(lock):
            journal = OutcomeJournal(file)
            journal.lock = lock
            return journal
        lock.close()
    raise OSError(f"All {MOST_JOURNALS} journals in {folder} are taken. Give this ComfyUI a folder with GENONAUT_DATA.")


def may_be_ours(lock: BinaryIO) -> bool:
    """Lock it, unless another process has; where nothing can be locked, it is taken for ours."""
    try:
        return try_to_lock(lock.fileno())
    except OSError as exc:
        log.warning("%s cannot be locked (%s): start only one ComfyUI with this folder.", lock.name, exc)
        return True
