"""What only one process may do at a time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]


class Leadership:
    """That of a process that is alone: it leads from the beginning."""

    async def lead(self, work: Work) -> None:
        """Do this for as long as this process leads, and again whenever it leads again, until cancelled."""
        await work()
