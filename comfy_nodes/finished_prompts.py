"""Prompts that must not run again."""

from __future__ import annotations

import threading
from collections import OrderedDict

MOST_REMEMBERED_FINISHED = 10_000


class FinishedPrompts:
    """
    The last prompts that ended in this process.

    The journal forgets an outcome once it is confirmed; a dispatch that was on its way then must not run it again.
    """

    def __init__(self, most: int = MOST_REMEMBERED_FINISHED) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, None] = OrderedDict()

    def remember(self, prompt_id: str) -> None:
        with self._lock:
            self._ids[prompt_id] = None
            while len(self._ids) > self._most:
                self._ids.popitem(last=False)

    def __contains__(self, prompt_id: str) -> bool:
        with self._lock:
            return prompt_id in self._ids
