"""
The order of all turns to come, and how many of them are before somebody's. Nothing here looks anything up.

It is kept in order while people come and go, so neither a change nor an answer looks at everybody: turns stand in
blocks of a few hundred, of which it is known what they hold together, and only one block is looked into. Of the few who
wait for very much no single turn stands there; theirs are reckoned.

What is kept is plain tuples of numbers and moments: those the garbage collector looks at once, and objects of which
there are a hundred thousand again and again, for a quarter of a second in which nobody is answered.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import accumulate, chain, takewhile
from operator import add, sub
from typing import NamedTuple
from uuid import UUID

from sidecar.limits.paces import AT_ONCE, UNKNOWN, USUAL_WORK, Expected, one_after_another

UNKNOWN_EACH = UNKNOWN.at(USUAL_WORK)
SINGLY_AT_MOST = 100
"""Whoever waits for more is reckoned."""
BLOCK_AT_MOST, BLOCK_AT_LEAST = 400, 50
MICROSECONDS = 1_000_000

Kept = tuple[int, datetime, int, int, int, float, float, float]
"""An `InLine`: its tag, since when, the number of the person's id, cost, count, and how long each takes."""
Turn = tuple[int, datetime, int, int, int, int, int]
"""One of somebody's: its tag, since when, the number of the person's id, and what it adds to `Sums` after the first."""


@dataclass(frozen=True)
class Ahead:
    """What runs before a generation that is held."""

    own: int
    """Of the same person."""
    others: int
    people: int
    """How many other people those are of."""
    takes: Expected = AT_ONCE
    """How long one GPU would be at work on all of it."""

    @property
    def place(self) -> int:
        return self.own + self.others


@dataclass(frozen=True)
class InLine:
    """Somebody who waits, and how much they wait for."""

    person_id: UUID
    tag: int
    turn_since: datetime
    cost: int
    """By how much their tag grows with each of theirs, on the mean."""
    count: int
    each: Expected = UNKNOWN_EACH
    """How long one of theirs takes, on the mean."""

    def before(self, tag: int, whose: InLine) -> int:
        """How many of theirs have their turn before the one of somebody else that has this tag."""
        is_first = (self.turn_since, self.person_id) < (whose.turn_since, whose.person_id)
        latest = tag if is_first else tag - 1
        return 0 if latest < self.tag else min((latest - self.tag) // self.cost + 1, self.count)

    def turns(self) -> Iterator[Turn]:
        """Those of all that they wait for."""
        us, low_us, high_us = in_us(self.each)
        for place in range(self.count):
            is_first = int(not place)
            yield (
                self.tag + place * self.cost,
                self.turn_since,
                self.person_id.int,
                *(is_first, us, low_us, high_us),
            )

    def kept(self) -> Kept:
        return (self.tag, self.turn_since, self.person_id.int, self.cost, self.count, *self.each)


def in_line(kept: Kept) -> InLine:
    tag, since, person, cost, count, *each = kept
    return InLine(UUID(int=person), tag, since, cost, count, Expected(*each))


class Sums(NamedTuple):
    """What several turns come to. Whole numbers, so that what is taken off again leaves nothing."""

    turns: int = 0
    people: int = 0
    """Whose first turn is among them."""
    us: int = 0
    low_us: int = 0
    high_us: int = 0

    def plus(self, more: Sums) -> Sums:
        return Sums(*map(add, self, more))

    def less(self, gone: Sums) -> Sums:
        return Sums(*map(sub, self, gone))


NOTHING = Sums()


@dataclass
class Block:
    """Turns that follow one another."""

    turns: list[Turn]
    sums: Sums = field(init=False)
    _up_to: list[array[int]] | None = None
    """Each part of the sums up to each of the turns, for those who ask again and again; None: nobody has asked."""

    def __post_init__(self) -> None:
        self.sums = sums_of(self.turns)

    def insert(self, turn: Turn) -> None:
        insort(self.turns, turn)
        self.sums, self._up_to = self.sums.plus(sums_of([turn])), None

    def remove(self, turn: Turn) -> None:
        del self.turns[bisect_left(self.turns, turn)]
        self.sums, self._up_to = self.sums.less(sums_of([turn])), None

    def before(self, turn: tuple[int, datetime, int]) -> Sums:
        """What those of them come to that are before this one."""
        if self._up_to is None:
            _, _, _, *parts = zip(*self.turns, strict=True)
            self._up_to = [array("q", accumulate(part, initial=0)) for part in parts]
        count = bisect_left(self.turns, turn)
        return Sums(count, *(part[count] for part in self._up_to))


class TurnOrder:
    """Everybody who waits, in the order of their turns."""

    def __init__(self) -> None:
        self._people: dict[int, Kept] = {}
        self._reckoned: dict[int, InLine] = {}
        self._blocks: list[Block] = []
        self._lasts: list[Turn] = []
        """The last turn of each block."""
        self._sums: list[Sums] | None = None
        """What is before each block; None: that has changed."""

    def __len__(self) -> int:
        return len(self._people)

    def __contains__(self, person_id: UUID) -> bool:
        return person_id.int in self._people

    def get(self, person_id: UUID) -> InLine | None:
        kept = self._people.get(person_id.int)
        return None if kept is None else in_line(kept)

    def besides(self, seen: Collection[int]) -> Iterator[UUID]:
        """Everybody, but for those whose ids have these numbers."""
        return (UUID(int=person) for person in self._people if person not in seen)

    def put(self, one: InLine) -> None:
        """Somebody waits, or waits for something else than before."""
        person, known = one.person_id.int, self.get(one.person_id)
        if known == one:
            return
        self._people[person] = one.kept()
        self._reckoned.pop(person, None)
        before, then = singly(known), singly(one)
        same = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(before, then, strict=False)))
        for turn in before[same:]:
            self._take_out(turn)
        for turn in then[same:]:
            self._put_in(turn)
        if one.count > SINGLY_AT_MOST:
            self._reckoned[person] = one

    def remove(self, person_id: UUID) -> None:
        """Somebody waits no more."""
        for turn in singly(self.get(person_id)):
            self._take_out(turn)
        self._people.pop(person_id.int, None)
        self._reckoned.pop(person_id.int, None)

    def ahead(self, me: InLine | None, own: int) -> Ahead:
        """What runs before the one of this person before which so many of their own do."""
        if me is None:
            return Ahead(own, 0, 0, UNKNOWN_EACH.times(own))
        mine = (me.tag + own * me.cost, me.turn_since, me.person_id.int)
        before = self._before(mine)
        known = self.get(me.person_id)
        if known is not None and known.count <= SINGLY_AT_MOST:
            before = before.less(first_of(known, known.before(mine[0], me)))
        people, turns, takes = before.people, before.turns, [me.each.times(own), taking(before)]
        for one in self._reckoned.values():
            count = one.before(mine[0], me) if one.person_id != me.person_id else 0
            if count:
                people, turns = people + 1, turns + count
                takes.append(one.each.times(count))
        return Ahead(own, turns, people, one_after_another(takes))

    def __iter__(self) -> Iterator[UUID]:
        """Whose turn it will be, one turn after the other."""
        standing = chain.from_iterable(block.turns for block in self._blocks)
        return (UUID(int=turn[2]) for turn in merge(standing, *(one.turns() for one in self._reckoned.values())))

    def _before(self, turn: tuple[int, datetime, int]) -> Sums:
        if self._sums is None:
            self._sums = list(accumulate((block.sums for block in self._blocks), Sums.plus, initial=NOTHING))
        at = bisect_left(self._lasts, turn)
        if at == len(self._blocks):
            return self._sums[at]
        return self._sums[at].plus(self._blocks[at].before(turn))

    def _put_in(self, turn: Turn) -> None:
        self._sums = None
        if not self._blocks:
            self._blocks, self._lasts = [Block([turn])], [turn]
            return
        at = min(bisect_left(self._lasts, turn), len(self._blocks) - 1)
        block = self._blocks[at]
        block.insert(turn)
        self._lasts[at] = block.turns[-1]
        if len(block.turns) > BLOCK_AT_MOST:
            self._replace(at, at + 1, block.turns)

    def _take_out(self, turn: Turn) -> None:
        self._sums = None
        at = bisect_left(self._lasts, turn)
        block = self._blocks[at]
        block.remove(turn)
        if len(block.turns) < BLOCK_AT_LEAST:
            first = max(at - 1, 0)
            both = self._blocks[first : first + 2]
            self._replace(first, first + 2, [turn for each in both for turn in each.turns])
        else:
            self._lasts[at] = block.turns[-1]

    def _replace(self, first: int, end: int, turns: list[Turn]) -> None:
        """Have these turns stand in place of those blocks: in one, or in two where they are too many for that."""
        half = len(turns) // 2 if len(turns) > BLOCK_AT_MOST else len(turns)
        blocks = [Block(part) for part in (turns[:half], turns[half:]) if part]
        self._blocks[first:end] = blocks
        self._lasts[first:end] = [block.turns[-1] for block in blocks]


def singly(one: InLine | None) -> list[Turn]:
    """The turns of somebody that stand in order by themselves."""
    return list(one.turns()) if one is not None and one.count <= SINGLY_AT_MOST else []


def first_of(one: InLine, count: int) -> Sums:
    """What so many of theirs come to, from the first one on."""
    return Sums(count, int(count > 0), *(count * each_us for each_us in in_us(one.each)))


def in_us(each: Expected) -> tuple[int, ...]:
    return tuple(round(seconds * MICROSECONDS) for seconds in each)


def sums_of(turns: Sequence[Turn]) -> Sums:
    people = us = low_us = high_us = 0
    for *_, is_first, takes_us, quick_us, slow_us in turns:
        people, us, low_us, high_us = people + is_first, us + takes_us, low_us + quick_us, high_us + slow_us
    return Sums(len(turns), people, us, low_us, high_us)


def taking(sums: Sums) -> Expected:
    return Expected(*(each / MICROSECONDS for each in (sums.us, sums.low_us, sums.high_us)))
