"""People who wait for GPUs, without either: what `Line` and `fair_shares` decide, second by second, in no time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from sidecar.generations import fair_shares
from sidecar.generations.choice import LOADING_S, Choice, Seat, Seating, Wish
from sidecar.generations.line import Key, Look, Person

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)
PLACES = 2

Answer = TypeVar("Answer")


def at_once(question: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer of a coroutine that waits for nothing."""
    try:
        question.send(None)
    except StopIteration as told:
        answer: Answer = told.value
        return answer
    raise AssertionError("It waits for something.")


@dataclass(frozen=True)
class Prompt:
    """What somebody wants."""

    id: UUID
    person_id: UUID
    seconds: float
    expected_s: float
    checkpoint: str
    wish: Wish
    at: float
    """When it was submitted."""


@dataclass(eq=False)
class Member:
    """Somebody of the crowd, as a row of `shares`, and what they got."""

    id: UUID
    weight: float = 1.0
    tag: int = 0
    waiting_since: datetime = EPOCH
    turn_since: datetime = EPOCH
    passed_s: float = 0.0
    prompts: deque[Prompt] = field(default_factory=deque)
    got_s: float = 0.0

    @property
    def key(self) -> Key:
        return (self.tag, self.turn_since, self.id)


@dataclass(frozen=True)
class Went:
    """One that was let go."""

    prompt: Prompt
    at: float
    waited_for_its_turn_s: float


@dataclass
class Gpu:
    id: UUID
    time: int = 0
    checkpoint: str = ""
    taken: deque[tuple[Prompt, int]] = field(default_factory=deque)
    """What it has, with what was charged for it; the first one runs."""
    began_at: float = 0.0
    loads: int = 0


class Crowd:
    """Some GPUs and everybody who waits for them."""

    def __init__(self, gpus: int = 1) -> None:
        self.clock = 0.0
        self.gpus = [Gpu(UUID(int=number + 1)) for number in range(gpus)]
        self.members: dict[UUID, Member] = {}
        self.went: list[Went] = []
        self._prompts: dict[UUID, Prompt] = {}
        self._line: list[Key] = []
        self._agenda: list[tuple[float, int, Callable[[], Any]]] = []
        self._numbers = count(1)

    def somebody(self, weight: float = 1.0) -> Member:
        member = Member(UUID(int=next(self._numbers) << 32), weight)
        self.members[member.id] = member
        return member

    def submit(
        self,
        member: Member,
        seconds: float | Iterable[float],
        *,
        checkpoint: str = "",
        expected_s: float | None = None,
        on: Iterable[Gpu] | None = None,
    ) -> list[Prompt]:
        """Have somebody wait for one generation or for several."""
        every = [seconds] if isinstance(seconds, (int, float)) else list(seconds)
        able = None if on is None else frozenset(gpu.id for gpu in on)
        prompts = []
        for each in every:
            expected = each if expected_s is None else expected_s
            wish = Wish(UUID(int=next(self._numbers)), checkpoint, able, seconds=expected)
            prompts.append(Prompt(wish.generation_id, member.id, each, expected, checkpoint, wish, self.clock))
        self._prompts.update((prompt.id, prompt) for prompt in prompts)
        was_waiting = bool(member.prompts)
        member.prompts.extend(prompts)
        if not was_waiting:
            member.tag = fair_shares.begin(member.tag, min(gpu.time for gpu in self.gpus))
            member.waiting_since = member.turn_since = moment(self.clock)
            insort(self._line, member.key)
        return prompts

    def later(self, at: float, what: Callable[[], Any]) -> None:
        heappush(self._agenda, (at, next(self._numbers), what))

    def run(self, *, until: float = float("inf"), turns: int | None = None) -> None:
        """Let time pass until nothing happens any more, or until then, or until so many were let go."""
        self.fill()
        while self._agenda and self._agenda[0][0] <= until and (turns is None or len(self.went) < turns):
            self.clock, _, what = heappop(self._agenda)
            what()
            self.fill()

    # What the dispatcher does.

    def fill(self) -> None:
        if self._line and any(len(gpu.taken) < PLACES for gpu in self.gpus):
            seating = Seating(self._seat(gpu) for gpu in self.gpus)
            for choice in at_once(Look(seating, self, at=moment(self.clock)).fill()).choices:
                self._let_go(choice)

    def _seat(self, gpu: Gpu) -> Seat:
        busy_s = sum(prompt.expected_s for prompt, _ in gpu.taken)
        return Seat(gpu.id, PLACES - len(gpu.taken), busy_s=busy_s, checkpoint=gpu.checkpoint, time=gpu.time)

    def _let_go(self, choice: Choice) -> None:
        gpu = next(gpu for gpu in self.gpus if gpu.id == choice.instance_id)
        prompt = self._prompts.pop(choice.generation_id)
        member = self.members[prompt.person_id]
        self._leave(member)
        member.prompts.remove(prompt)
        if choice.passed is not None:
            self.members[choice.passed].passed_s += fair_shares.counts_as_passed_s(choice.seconds)
        costs = fair_shares.cost(choice.seconds, member.weight)
        now = moment(self.clock)
        self.went.append(Went(prompt, self.clock, (now - member.turn_since).total_seconds()))
        member.tag, gpu.time = fair_shares.take(member.tag, gpu.time, costs, among=choice.among)
        member.turn_since, member.passed_s = now, 0.0
        if member.prompts:
            insort(self._line, member.key)
        gpu.taken.append((prompt, costs))
        if len(gpu.taken) == 1:
            self._begin(gpu)

    def _begin(self, gpu: Gpu) -> None:
        prompt, _ = gpu.taken[0]
        loads = bool(prompt.checkpoint) and prompt.checkpoint != gpu.checkpoint
        gpu.loads += loads
        gpu.checkpoint = prompt.checkpoint or gpu.checkpoint
        gpu.began_at = self.clock
        self.later(self.clock + prompt.seconds + (LOADING_S if loads else 0.0), lambda: self._end(gpu))

    def _end(self, gpu: Gpu) -> None:
        prompt, charged = gpu.taken.popleft()
        member = self.members[prompt.person_id]
        took_s = self.clock - gpu.began_at
        member.got_s += took_s
        waits = bool(member.prompts)
        if waits:
            self._leave(member)
        measured = fair_shares.cost(took_s, member.weight)
        member.tag = fair_shares.settle(member.tag, charged=charged, measured=measured)
        if waits:
            insort(self._line, member.key)
        if gpu.taken:
            self._begin(gpu)

    def _leave(self, member: Member) -> None:
        del self._line[bisect_left(self._line, member.key)]

    # What the database tells (`line.Source`).

    async def people(self, *, skip: int, at_most: int) -> Sequence[Person]:
        return [self._person(self.members[key[2]]) for key in self._line[skip : skip + at_most]]

    def _person(self, member: Member) -> Person:
        return Person(
            member.id,
            tag=member.tag,
            turn_since=member.turn_since,
            waits_for_the_first=member.turn_since == member.waiting_since,
            weight=member.weight,
            passed_s=member.passed_s,
            wishes=deque([member.prompts[0].wish]),
            read=1,
        )

    async def wishes(self, person: Person, *, skip: int, at_most: int) -> Sequence[Wish]:
        prompts = list(self.members[person.id].prompts)
        return [prompt.wish for prompt in prompts[skip : skip + at_most]]

    async def count(self) -> int:
        return len(self._line)


class FirstComeFirstServed(Crowd):
    """Without turns: whoever submitted first is next, whoever they are."""

    async def people(self, *, skip: int, at_most: int) -> Sequence[Person]:
        waiting = sorted(self.members.values(), key=lambda member: member.prompts[0].id if member.prompts else LAST)
        people = [self._person(member) for member in waiting[skip : skip + at_most] if member.prompts]
        for person in people:
            person.tag = self.members[person.id].prompts[0].id.int
            person.weight = 1e12  # so that one more of theirs costs nothing
        return people


LAST = UUID(int=2**128 - 1)


def moment(clock: float) -> datetime:
    return EPOCH + timedelta(seconds=clock)


def fair_s(members: Iterable[Member]) -> Mapping[Member, float]:
    """The seconds that each should have got of all that they got, by their weights."""
    them = list(members)
    of_weight = sum(member.got_s for member in them) / sum(member.weight for member in them)
    return {member: of_weight * member.weight for member in them}
