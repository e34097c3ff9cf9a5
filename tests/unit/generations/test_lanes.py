"""What is on its way to one instance."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from sidecar.generations.lanes import Lane
from sidecar.generations.models import Generation


async def test_a_lane_with_nothing_on_it_costs_nothing() -> None:
    """
    Instances come and go, and a lane ends by itself; whatever is put on it later begins it again.
    """
    sent: list[Any] = []

    async def send(generation: Generation) -> None:
        sent.append(generation.id)
        if len(sent) == 1:
            raise RuntimeError

    lane = Lane(send)
    in_use = [lane.is_in_use]
    for ids in ((1, 2), (3,)):
        for number in ids:
            lane.put(Generation(id=UUID(int=number)))
        in_use.append(lane.is_in_use)
        await asyncio.sleep(0.01)
        in_use.append(lane.is_in_use)

    assert in_use == [False, True, False, True, False]
    assert [each.int for each in sent] == [1, 2, 3]
