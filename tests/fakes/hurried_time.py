"""
An event loop whose time passes faster, once it is told to: what waits for an hour has waited for it in minutes.

What others do, such as a database, takes as long as ever.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import selectors
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from pathlib import Path
from typing import Any

WATCHED: ContextVar[bool] = ContextVar("watched", default=False)
"""Set while something is started, it counts whatever that starts."""
WAITS_FOR_AN_ANSWER = "psycopg"
"""Looks every tenth of a second whether its server has answered, which takes as long as ever."""


class HurriedClock:
    """In the place of `time.monotonic`, by which the loop and whoever measures how long ago something was go."""

    def __init__(self) -> None:
        self._true = time.monotonic
        self._began = self._shown = self._true()
        self.speed = 1.0

    def __call__(self) -> float:
        return self._shown + (self._true() - self._began) * self.speed

    def go(self, speed: float) -> None:
        self._shown, self._began, self.speed = self(), self._true(), speed


class HurriedSelector(selectors.DefaultSelector):
    """Waits for as long as the clock takes, which is shorter than the loop thinks."""

    def __init__(self, clock: HurriedClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / self._clock.speed)


class HurriedLoop(asyncio.SelectorEventLoop):
    """Counts the timers that woke somebody, by whom."""

    def __init__(self, clock: HurriedClock) -> None:
        super().__init__(HurriedSelector(clock))
        self._clock = clock
        self._woken: Counter[str] | None = None

    def time(self) -> float:
        return self._clock()

    @contextmanager
    def hurried(self, times_as_fast: float, woken: Counter[str]) -> Iterator[None]:
        """In the length of the block time passes so much faster; and who is woken by a timer, and how often."""
        self._clock.go(times_as_fast)
        self._woken = woken
        yield
        self._woken = None
        self._clock.go(1.0)

    def call_at(  # type: ignore[override]  # as it is called by Python 3.10 to 3.14
        self, when: float, callback: Callable[..., Any], *arguments: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if not (context or contextvars.copy_context()).get(WATCHED) or is_asked_by(WAITS_FOR_AN_ANSWER):
            return super().call_at(when, callback, *arguments, context=context)
        who = whose_it_is()

        def wake() -> None:
            if self._woken is not None:
                self._woken[who] += 1
            callback(*arguments)

        return super().call_at(when, wake, context=context)


def whose_it_is() -> str:
    """The coroutine that the task now at work was made of."""
    task = asyncio.current_task()
    return getattr(task.get_coro(), "__qualname__", "nobody") if task else "nobody"


def is_asked_by(package: str) -> bool:
    frame = inspect.currentframe()
    while frame is not None:
        if package in Path(frame.f_code.co_filename).parts:
            return True
        frame = frame.f_back
    return False
