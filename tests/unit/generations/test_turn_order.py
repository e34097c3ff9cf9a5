"""Everybody who waits in the order of their turns, while people come and go."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest

from sidecar.generations import turn_order
from sidecar.generations.turn_order import Ahead, InLine, TurnOrder
from sidecar.limits.paces import Expected

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
PEOPLE = [UUID(int=number) for number in range(40)]


def somebody(chance: random.Random) -> InLine:
    """With few different tags and times, so that many are alike."""
    return InLine(
        chance.choice(PEOPLE),
        tag=chance.randrange(20),
        turn_since=NOON + timedelta(seconds=chance.randrange(3)),
        cost=chance.randint(1, 5),
        count=chance.choice((0, 1, 1, 1, 2, 7, 30)),
        each=Expected(*sorted(chance.randrange(1, 100) / 8 for _ in range(3))),
    )


def told_one_by_one(line: dict[UUID, InLine], me: InLine, own: int) -> Ahead:
    before = {one: other.before(me.tag + own * me.cost, me) for one, other in line.items() if one != me.person_id}
    seconds = [
        own * me.each[part] + sum(count * line[one].each[part] for one, count in before.items()) for part in range(3)
    ]
    return Ahead(own, sum(before.values()), sum(map(bool, before.values())), Expected(*seconds))


@pytest.mark.parametrize("singly", [0, 10, 100], ids=["all reckoned", "some reckoned", "all one by one"])
def test_how_many_are_before_somebody_is_the_same_as_looking_at_everybody(monkeypatch: pytest.MonkeyPatch, singly: int):
    """However often people came, went, and waited for something else, and whoever is reckoned."""
    monkeypatch.setattr(turn_order, "SINGLY_AT_MOST", singly)
    monkeypatch.setattr(turn_order, "BLOCK_AT_MOST", 8)
    monkeypatch.setattr(turn_order, "BLOCK_AT_LEAST", 3)
    chance, order = random.Random(5), TurnOrder()
    line: dict[UUID, InLine] = {}
    for _ in range(1500):
        one = somebody(chance)
        if chance.random() < 0.4:
            order.remove(one.person_id)
            line.pop(one.person_id, None)
        else:
            order.put(one)
            line[one.person_id] = one
        whoever = line.get(chance.choice(PEOPLE)) or somebody(chance)
        own = chance.randint(0, 5)
        found, expected = order.ahead(whoever, own), told_one_by_one(line, whoever, own)

        assert (found.own, found.others, found.people) == (expected.own, expected.others, expected.people)
        assert found.takes == pytest.approx(expected.takes)


def test_turns_come_one_after_the_other():
    """By their tags; of the same tag those first who wait for longer."""
    ada, bob, clo = PEOPLE[:3]
    order = TurnOrder()
    order.put(InLine(ada, tag=0, turn_since=NOON, cost=10, count=4))
    order.put(InLine(bob, tag=10, turn_since=NOON - timedelta(seconds=1), cost=15, count=2))
    order.put(InLine(clo, tag=5, turn_since=NOON, cost=1, count=0))

    assert list(order) == [ada, bob, ada, ada, bob, ada]


def test_blocks_stay_small_and_full(monkeypatch: pytest.MonkeyPatch):
    """However many came and went: an answer looks into one of them."""
    monkeypatch.setattr(turn_order, "BLOCK_AT_MOST", 20)
    monkeypatch.setattr(turn_order, "BLOCK_AT_LEAST", 5)
    order = TurnOrder()
    for number in range(1000):
        order.put(InLine(UUID(int=number), tag=number * 7919 % 1000, turn_since=NOON, cost=1, count=1))
    many = [len(block.turns) for block in order._blocks]
    for number in range(0, 1000, 3):
        order.remove(UUID(int=number))
    for number in range(900):
        order.remove(UUID(int=number))
    left = [len(block.turns) for block in order._blocks]
    for number in range(1000):
        order.remove(UUID(int=number))

    assert max(many) <= 20
    assert min(left) >= 5
    assert not order._blocks
