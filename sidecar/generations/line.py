"""
The line of those who wait: whose turn is next, and with what.

It reads no more of them than it takes to fill every free place. Whoever tells it who waits may be the database
(`turns`) or a simulator: nothing here looks anything up by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import heappop, heappush
from itertools import chain, repeat
from typing import Protocol
from uuid import UUID

from sidecar.generations import fair_shares
from sidecar.generations.choice import Choice, Seat, Seating, Wish

PAGES = (20, 200, 1000)  # mostly the first one fills every place; while one stays free, more is read
PAGES_GROW_BY = 4  # those of one person, so that whoever reads all of them does so in few steps
NEAR_AT_MOST = 100
"""How many generations are looked at by who has looked at all of them a moment ago."""
Key = tuple[int, datetime, UUID]


@dataclass
class Person:
    """Somebody who waits."""

    id: UUID
    tag: int
    turn_since: datetime
    """Since when they wait for this turn."""
    waits_for_the_first: bool = False
    """They had no turn since they began to wait."""
    weight: float = 1.0
    passed_s: float = 0.0
    """How much of this turn they have let others pass."""
    at: set[UUID] = field(default_factory=set)
    """The instances that have something of theirs."""
    at_once: int | None = None
    """On how many that may be at once; None: on any number."""
    wishes: deque[Wish] = field(default_factory=deque)
    """The next ones, in their own order, as far as they are read."""
    read: int = 0
    is_read_out: bool = False
    unable: int = 0
    """How many of theirs were looked at that can go nowhere now."""

    @property
    def key(self) -> Key:
        return (self.tag, self.turn_since, self.id)


class Source(Protocol):
    """Whoever knows who waits."""

    async def people(self, *, skip: int, at_most: int) -> Sequence[Person]:
        """Some of those who wait, in the order of their keys, each with their first generation if there is one."""

    async def wishes(self, person: Person, *, skip: int, at_most: int) -> Sequence[Wish]:
        """More of what somebody waits for."""

    async def count(self) -> int:
        """How many people wait."""


@dataclass
class Filled:
    """What came of a look along the line."""

    choices: list[Choice] = field(default_factory=list)
    """In the order of turns."""
    looked_at: list[Wish] = field(default_factory=list)
    at_limit: list[tuple[Wish, int]] = field(default_factory=list)
    """Whose turn it was, and they may have no more than so many running."""
    idle: list[UUID] = field(default_factory=list)
    """People who wait for nothing any more."""
    is_whole: bool = True
    """False: a place is free, and somebody may wait for it of whom nothing was read."""


class Line:
    """Who waits, whose turn is next first, as far as they are read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._heap: list[tuple[Key, Person]] = []
        self._pages = chain(PAGES, repeat(PAGES[-1]))
        self._read = 0
        self._last: Key | None = None
        self._is_read_out = False
        self._length: int | None = None

    async def first(self) -> Person | None:
        """Take out whose turn is next."""
        while not self._is_read_out and (not self._heap or self._last is None or self._heap[0][0] > self._last):
            await self._read_on()
        return heappop(self._heap)[1] if self._heap else None

    def put_back(self, person: Person) -> None:
        heappush(self._heap, (person.key, person))

    def take_out(self, person: Person) -> None:
        self._heap = [entry for entry in self._heap if entry[1] is not person]
        self._heap.sort()

    def others(self) -> Iterable[Person]:
        return (person for _, person in self._heap)

    async def length(self) -> int:
        if self._is_read_out:
            return self._read
        if self._length is None:
            self._length = await self._source.count()
        return self._length

    async def _read_on(self) -> None:
        at_most = next(self._pages)
        page = await self._source.people(skip=self._read, at_most=at_most)
        for person in page:
            self.put_back(person)
        self._read += len(page)
        self._last = page[-1].key if page else self._last
        self._is_read_out = len(page) < at_most


class Look:
    """One look along the line, from its beginning, as far as there are free places."""

    def __init__(self, seating: Seating, source: Source, *, at: datetime, far: bool = True) -> None:
        self._seating = seating
        self._source = source
        self._line = Line(source)
        self._at = at
        self._far = far
        self._found = Filled()

    async def fill(self) -> Filled:
        """Give every free place to whose turn it is."""
        while self._seating.has_places():
            if not self._far and len(self._found.looked_at) >= NEAR_AT_MOST:
                self._found.is_whole = False
                break
            person = await self._line.first()
            if person is None:
                break
            await self._turn_of(person)
        return self._found

    async def _turn_of(self, person: Person) -> None:
        wish = await self._next_wish(person)
        if wish is None:
            return  # out of the line, for now
        seat = self._seat_for(person, wish)
        if seat is None and person.at_once is not None and self._seating.best_for(wish) is not None:
            self._found.at_limit.append((wish, person.at_once))
            return
        self._found.looked_at.append(wish)
        if seat is None:
            self._pass_over(person)
            return
        passing = self._who_may_pass(person, wish, seat) if seat.places else None
        if passing is not None:
            self._line.take_out(passing)
            self._line.put_back(person)
            other = passing.wishes[0]
            person.passed_s += fair_shares.counts_as_passed_s(other.seconds)
            self._found.looked_at.append(other)
            await self._let_go(passing, other, seat, passed=person)
        else:
            await self._let_go(person, wish, seat)

    def _seat_for(self, person: Person, wish: Wish) -> Seat | None:
        """Whoever is on as many instances as they may be goes nowhere else."""
        if person.at_once is not None and len(person.at) >= person.at_once:
            wish = replace(wish, able=frozenset(person.at if wish.able is None else person.at & wish.able))
        return self._seating.best_for(wish)

    def _pass_over(self, person: Person) -> None:
        """No instance that gets work now can do this: perhaps one can do what they want after it."""
        person.wishes.popleft()
        person.unable += 1
        if self._far or person.unable < PAGES[0]:
            self._line.put_back(person)
        else:
            self._found.is_whole = False

    async def _let_go(self, person: Person, wish: Wish, seat: Seat, *, passed: Person | None = None) -> None:
        """To this seat; if it has no free place, what comes after it reckons with that it will have it."""
        among = await self._line.length() if seat.places else 1
        if seat.places:
            choice = Choice(
                wish.generation_id,
                seat.instance_id,
                seconds=wish.seconds,
                among=among,
                passed=None if passed is None else passed.id,
                idle=self._seating.idle_besides(seat.instance_id),
            )
            self._found.choices.append(choice)
            person.at.add(seat.instance_id)
        costs = fair_shares.cost(wish.seconds, person.weight)
        person.tag, time = fair_shares.take(person.tag, seat.time, costs, among=among)
        person.passed_s, person.waits_for_the_first, person.turn_since = 0.0, False, self._at
        person.wishes.popleft()
        self._seating.seat(wish, seat, time=time)
        self._line.put_back(person)

    async def _next_wish(self, person: Person) -> Wish | None:
        """None: everything of theirs was looked at."""
        if not person.wishes and not person.is_read_out:
            at_most = max(PAGES[0], PAGES_GROW_BY * person.read)
            more = await self._source.wishes(person, skip=person.read, at_most=at_most)
            person.wishes.extend(more)
            person.read += len(more)
            person.is_read_out = len(more) < at_most
        if not person.read:
            self._found.idle.append(person.id)
        return person.wishes[0] if person.wishes else None

    def _who_may_pass(self, person: Person, wish: Wish, seat: Seat) -> Person | None:
        """
        Somebody who needs the checkpoint that is loaded there, if the one whose turn it is would have it replaced.

        Nobody passes twice somebody who waits for their first turn, and all together for no longer than is bearable.
        """
        if not seat.checkpoint or wish.checkpoint in ("", seat.checkpoint):
            return None
        left_s = fair_shares.WARM_AT_MOST_S - person.passed_s
        for other in sorted(self._line.others(), key=lambda one: one.key):
            if not other.wishes:
                continue
            if person.waits_for_the_first and other.turn_since > person.turn_since:
                continue
            theirs = other.wishes[0]
            is_warm = theirs.checkpoint == seat.checkpoint and self._seat_for(other, theirs) is seat
            if is_warm and fair_shares.counts_as_passed_s(theirs.seconds) <= left_s:
                return other
        return None
