"""
Tells the sidecar that the journal has grown, with the new entries themselves where they are not large.

So nobody need come and read them, which would take longer than all the rest that follows from an end. The journal stays
what counts: whoever misses something here, or hears of it in another order, reads it there.
"""

from __future__ import annotations

import threading

from .event_tap import EventTap
from .outcome_journal import Growth
from .wire import encode_json

LARGEST_NEWS = 256 * 1024
"""Of entries that are larger together it is told only that they are there."""


class OutcomeNews:
    """What has been written since the last time that something was told. One a process, used from any thread."""

    def __init__(self, tap: EventTap, journal_id: str) -> None:
        self._tap = tap
        self._journal_id = journal_id
        self._lock = threading.Lock()
        self._untold: list[bytes] = []

    def journal_has_grown(self, growth: Growth) -> None:
        with self._lock:
            self._untold.append(growth.line)
            if growth.kind == "started":  # ComfyUI's own event tells that at once
                return
            entries, self._untold = self._untold, []
        self._tap.tell_encoded("outcome", self._as_data(growth, entries))

    def _as_data(self, growth: Growth, entries: list[bytes]) -> bytes:
        facts = {"sequence": growth.sequence, "prompt_id": growth.prompt_id, "journal": self._journal_id}
        told = entries if sum(map(len, entries)) <= LARGEST_NEWS else []
        return b"".join((encode_json(facts)[:-1], b',"entries":[', b",".join(told), b"]}"))
