"""
What one process has changed, the others hear.

News are hints: ids and small facts, never what is true (that stands in the database), and some may be lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

GAP = "gap"
"""The topic that says: news may have been lost, read everything anew."""

Hear = Callable[[Any], Awaitable[None]]


class Bus:
    """The bus of a process that is alone: nobody else is there to be told anything."""

    def __init__(self) -> None:
        self._hearers: dict[str, Hear] = {}
        self._miss: Callable[[], None] = lambda: None

    def on(self, topic: str, hear: Hear) -> None:
        """What to do with news of a topic that another process tells. One for each topic."""
        self._hearers[topic] = hear

    def on_gap(self, miss: Callable[[], None]) -> None:
        """What to do when news may have been lost."""
        self._miss = miss

    def tell(self, topic: str, news: Any = None) -> None:
        """Tell all other processes, soon. `news` becomes JSON, of some kilobytes at most."""

    async def run(self) -> None:
        """Tell and hear until cancelled."""
