"""Telling something no more often than needed: whoever tries things by the thousand must not fill the disk."""

from __future__ import annotations

import time
from collections.abc import Hashable


class Seldom:
    """What was told lately."""

    def __init__(self, *, once_in_s: float, at_most: int) -> None:
        """
        Args:
            once_in_s: For so long the same is not told again.
            at_most: So many different ones are told in that time.
        """
        self._once_in_s = once_in_s
        self._at_most = at_most
        self._told: dict[Hashable, float] = {}

    def is_due(self, what: Hashable) -> bool:
        """It was not told lately; if so, it is now."""
        at = time.monotonic()
        self._told = {known: moment for known, moment in self._told.items() if at - moment < self._once_in_s}
        if what in self._told or len(self._told) >= self._at_most:
            return False
        self._told[what] = at
        return True
