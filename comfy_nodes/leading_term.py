"""
Which of the sidecar's processes drives this ComfyUI: the one that came to do so last.

Each has a number, its term, greater than those of all before it. Whoever drove before may have a prompt under way, and
whoever drives now looks what is here and gives elsewhere what is missing. So from that look on, the prompts of earlier
terms are refused: each would run twice. Kept in memory: what was under way does not outlive this ComfyUI.
"""

from __future__ import annotations

import threading
from typing import Any

TERM = "genonaut_term"
"""Where a posted prompt says in which term it was sent; it goes no further."""


class LeadingTerm:
    """The latest term that was heard of. One a process; used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.latest = 0

    def is_over(self, term: Any) -> bool:
        """Hear of a term: has a later one been heard of? Who names none is not asked for any."""
        if isinstance(term, bool) or not isinstance(term, int):
            return False
        with self._lock:
            self.latest = max(self.latest, term)
            return term < self.latest
