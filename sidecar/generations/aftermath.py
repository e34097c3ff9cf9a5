"""Who has to know that something was written down about a generation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from sidecar.generations.models import Generation
from sidecar.generations.queueing import Queueing


@dataclass(frozen=True)
class Aftermath:
    """Who has to know what was written down."""

    queueing: Queueing
    announce: Callable[[UUID], Awaitable[None]]
    """A generation looks different now."""
    ended: Callable[[UUID], None]
    """It makes no more progress."""

    async def of_taking_back(self, generation: Generation) -> None:
        """It is not where it was: somebody's turn may have come, and its own comes when it has waited."""
        self.ended(generation.id)
        await self.announce(generation.id)
        await self.queueing.dispatch(generation.id, reason="missing")
        if generation.not_before is not None:
            retry = f"try-{generation.tries}"
            await self.queueing.dispatch(generation.id, reason=retry, not_before=generation.not_before)
