"""How often to look whether something has happened."""

from __future__ import annotations

from collections.abc import Iterator


def pauses(longest_s: float) -> Iterator[float]:
    """
    How long to wait before each further look: short at first, for what comes at once, and longer and longer.

    Each look takes time of the core that what is waited for needs.
    """
    pause_s = min(0.01, longest_s)
    while True:
        yield pause_s
        pause_s = min(1.5 * pause_s, longest_s)
