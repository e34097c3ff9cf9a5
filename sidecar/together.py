"""What many ask for at the same moment is done at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Wanted = TypeVar("Wanted")
Outcome = TypeVar("Outcome")


class Together(Generic[Wanted, Outcome]):
    """
    Collects what is asked for while others are being served, and serves it as one round.

    Nobody waits for company: whoever comes alone is served alone, at once. Rounds come one after the other, and in each
    everybody stands in the order in which they came.

    Args:
        serve: Gives one outcome for each that is wanted, in their order; one that is an exception is raised by its
            `ask`. What it raises itself is raised by every `ask` of the round.
        at_most: How many are served at once.
    """

    def __init__(
        self, serve: Callable[[Sequence[Wanted]], Awaitable[Sequence[Outcome | BaseException]]], *, at_most: int
    ) -> None:
        self._serve = serve
        self._at_most = at_most
        self._waiting: deque[tuple[Wanted, asyncio.Future[Outcome]]] = deque()
        self._serving: asyncio.Task[None] | None = None

    async def ask(self, wanted: Wanted) -> Outcome:
        """Have it done; it is done to its end also when whoever asked is cancelled meanwhile."""
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, answer))
        if self._serving is None or self._serving.done():
            # In nobody's context: what is logged of a round is about all who are in it.
            self._serving = Context().run(asyncio.create_task, self._serve_all())
        return await answer

    async def _serve_all(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._at_most))]
            answers = [answer for _, answer in some]
            try:
                outcomes = await self._serve([wanted for wanted, _ in some])
            except Exception as exc:  # noqa: BLE001 - whoever asked hears of it
                for answer in answers:
                    tell(answer, exc)
            except BaseException:
                for answer in answers:
                    answer.cancel()
                raise
            else:
                for answer, outcome in zip(answers, outcomes, strict=True):
                    tell(answer, outcome)


def tell(answer: asyncio.Future[Outcome], outcome: Outcome | BaseException) -> None:
    if answer.done():  # nobody waits for it any more
        return
    if isinstance(outcome, BaseException):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
