"""How long generations take is learned while they are recorded, and told to whoever reckons with it."""

from __future__ import annotations

from uuid import UUID

import pytest

from sidecar.instances.models import Pace
from sidecar.limits.estimate import learn, lines_of
from sidecar.limits.paces import UNKNOWN, Sample
from sidecar.parts import Parts

from .conftest import FIRST, SECOND

ELSEWHERE = UUID(int=99)


async def test_two_of_a_kind_that_end_together_are_both_learned_from(idle_parts: Parts):
    """The first that an instance made with a checkpoint, and the second, in one transaction."""
    async with idle_parts.database.writing() as session:
        with session.no_autoflush:
            await learn(session, FIRST, "a.safetensors", Sample(10.0, 1.0))
            await learn(session, FIRST, "a.safetensors", Sample(10.0, 3.0))
        pace = await session.get_one(Pace, (FIRST, "a.safetensors"))

    assert pace.count == 2
    assert pace.samples == [[10.0, 1.0], [10.0, 3.0]]


async def test_the_latest_twenty_are_remembered(idle_parts: Parts):
    """A new graphics card is believed before long."""
    async with idle_parts.database.writing() as session:
        for seconds in range(25):
            await learn(session, FIRST, "a.safetensors", Sample(10.0, float(seconds + 1)))
        pace = await session.get_one(Pace, (FIRST, "a.safetensors"))

    assert [seconds for _, seconds in pace.samples] == [float(seconds) for seconds in range(6, 26)]


async def test_what_is_not_known_is_taken_from_what_is_nearest(idle_parts: Parts):
    """The same checkpoint there, the same on other instances, other checkpoints, nothing."""
    async with idle_parts.database.reading() as session:
        nothing = (await lines_of(session, ["a.safetensors"]))["a.safetensors"]
    async with idle_parts.database.writing() as session:
        for _ in range(10):
            await learn(session, FIRST, "a.safetensors", Sample(10.0, 2.0))
            await learn(session, SECOND, "a.safetensors", Sample(10.0, 8.0))
    async with idle_parts.database.reading() as session:
        known = await lines_of(session, ["a.safetensors", "b.safetensors"])
    same, other = known["a.safetensors"], known["b.safetensors"]

    assert (nothing.usual, nothing.basis) == (UNKNOWN, "nothing")
    assert same.on(FIRST).seconds(10.0) == pytest.approx(2.0)
    assert same.on(SECOND).seconds(10.0) == pytest.approx(8.0)
    assert same.on(ELSEWHERE).seconds(10.0) == pytest.approx(5.0)
    assert (same.basis, other.basis) == ("checkpoint", "others")
    assert other.usual.low * other.usual.seconds(10.0) < 2.0 < 8.0 < other.usual.high * other.usual.seconds(10.0)
