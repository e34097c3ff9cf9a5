"""What many ask for at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sidecar.together import Together


class Kitchen:
    """Serves whatever is asked for, and remembers its rounds."""

    def __init__(self, *, at_most: int = 10) -> None:
        self.rounds: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.together = Together(self._serve, at_most=at_most)

    async def _serve(self, wanted: Sequence[int]) -> list[int | BaseException]:
        self.rounds.append(list(wanted))
        await self.open.wait()
        if 13 in wanted:
            raise RuntimeError
        return [KeyError(number) if number < 0 else number * 2 for number in wanted]


async def test_who_comes_while_others_are_served_shares_the_next_round() -> None:
    """
    In the order in which they came, and never more than may be served at once.
    """
    kitchen = Kitchen(at_most=2)
    kitchen.open.clear()
    asked = [asyncio.create_task(kitchen.together.ask(1))]
    await asyncio.sleep(0.01)
    asked += [asyncio.create_task(kitchen.together.ask(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    kitchen.open.set()
    outcomes = await asyncio.gather(*asked)

    assert kitchen.rounds == [[1], [2, 3], [4]]
    assert outcomes == [2, 4, 6, 8]


async def test_what_one_is_refused_concerns_nobody_else() -> None:
    """
    An outcome may be an exception; a round that fails as a whole fails for everybody in it, and the next one goes on.
    """
    kitchen = Kitchen()
    some = await asyncio.gather(*(kitchen.together.ask(number) for number in (1, -1)), return_exceptions=True)
    failed = await asyncio.gather(*(kitchen.together.ask(number) for number in (5, 13)), return_exceptions=True)

    assert (some[0], type(some[1])) == (2, KeyError)
    assert [type(outcome) for outcome in failed] == [RuntimeError, RuntimeError]
    assert await kitchen.together.ask(7) == 14


async def test_what_was_asked_for_is_done_though_nobody_waits_for_it_any_more() -> None:
    """
    A browser that goes away takes nothing back, and disturbs nobody.
    """
    kitchen = Kitchen()
    kitchen.open.clear()
    gone = asyncio.create_task(kitchen.together.ask(1))
    await asyncio.sleep(0.01)
    gone.cancel()
    kitchen.open.set()

    assert await kitchen.together.ask(2) == 4
    assert kitchen.rounds == [[1], [2]]
    with pytest.raises(asyncio.CancelledError):
        await gone
