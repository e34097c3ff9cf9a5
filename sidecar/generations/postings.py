"""The prompts that are on their way to a ComfyUI at this moment."""

from __future__ import annotations

from collections import Counter
from uuid import UUID


class Postings:
    """
    Nobody can say yet whether ComfyUI has them. One a process.

    One may be twice among them: its next turn may come while the try before it is still being looked after.
    """

    def __init__(self) -> None:
        self._counts: Counter[UUID] = Counter()

    def add(self, generation_id: UUID) -> None:
        self._counts[generation_id] += 1

    def discard(self, generation_id: UUID) -> None:
        self._counts -= Counter([generation_id])

    def clear(self) -> None:
        self._counts.clear()

    def __contains__(self, generation_id: UUID) -> bool:
        return generation_id in self._counts

    def __bool__(self) -> bool:
        return bool(self._counts)
