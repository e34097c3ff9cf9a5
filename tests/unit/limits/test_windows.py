"""When there is room in a sliding window."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.limits.plans import Budget
from sidecar.limits.windows import DAY, HOUR, Amount, Claim, Counted, Tally, Window, claim_of, first_room, windows_of

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
ONE = Amount(generations=1, gpu_ms=0)
TEN_AN_HOUR = Window("generations_per_hour", "generations", HOUR, 10)

# Small enough to be tried moment by moment.
SHORT = Window("short", "generations", timedelta(seconds=5), 2)
LONG = Window("long", "gpu_ms", timedelta(seconds=11), 7)
amounts = st.builds(Amount, st.just(1), st.integers(0, 9))


def tally_of(*seconds: int) -> Tally:
    """One generation each, so many seconds after noon."""
    return Tally(Counted(NOON + SECOND * second, 1, 0) for second in seconds)


def room_for_one(tally: Tally, window: Window, at: datetime) -> datetime:
    return first_room([claim_of(tally, window, ONE)], at).at


def test_there_is_room_at_once_while_fewer_are_counted_than_allowed():
    """The tenth of ten an hour enters at once."""
    tally = tally_of(*range(9))

    assert room_for_one(tally, TEN_AN_HOUR, NOON + SECOND * 20) == NOON + SECOND * 20


def test_the_window_slides_to_the_second():
    """The eleventh of ten an hour enters exactly an hour after the first, and not a second before."""
    tally = tally_of(*range(10))

    assert room_for_one(tally, TEN_AN_HOUR, NOON + SECOND * 20) == NOON + HOUR
    assert room_for_one(tally, TEN_AN_HOUR, NOON + HOUR - SECOND) == NOON + HOUR
    assert room_for_one(tally, TEN_AN_HOUR, NOON + HOUR) == NOON + HOUR


def test_what_was_counted_one_length_ago_has_left_the_window():
    tally = tally_of(0)

    assert tally.used(TEN_AN_HOUR, NOON + HOUR - timedelta(microseconds=1)) == 1
    assert tally.used(TEN_AN_HOUR, NOON + HOUR) == 0


def test_the_next_one_finds_room_after_those_that_wait():
    """Whoever waits is counted in the future, so that no two wait for the same room."""
    tally, moments = tally_of(*range(10)), []
    for _ in range(3):
        moments.append(room_for_one(tally, TEN_AN_HOUR, NOON + SECOND * 20))
        tally.add(moments[-1], ONE)

    assert moments == [NOON + HOUR, NOON + HOUR + SECOND, NOON + HOUR + SECOND * 2]


def test_the_limit_that_takes_longest_says_when():
    """Room in the hour is no room where the day is full."""
    tally = tally_of(*range(10))
    a_day = Window("generations_per_day", "generations", DAY, 10)
    room = first_room([claim_of(tally, TEN_AN_HOUR, ONE), claim_of(tally, a_day, ONE)], NOON + SECOND * 20)

    assert room.at == NOON + DAY
    assert room.obstacle is not None
    assert room.obstacle.window == a_day


def test_two_accounts_must_have_room_at_the_same_moment():
    """One's own room ends where the group's is full."""
    group = Window("generations_per_hour", "generations", HOUR, 1)
    own, shared = tally_of(*range(10)), tally_of(30)
    room = first_room([claim_of(own, TEN_AN_HOUR, ONE), claim_of(shared, group, ONE)], NOON + SECOND * 40)

    assert room.at == NOON + HOUR + SECOND * 30


def test_nobody_squeezes_in_before_somebody_who_waits():
    """What is counted at the end of a stretch belongs to it: one more before would be one too many at that end."""
    one_an_hour = Window("generations_per_hour", "generations", HOUR, 1)
    waits_at = NOON + timedelta(minutes=30)
    tally = Tally([Counted(waits_at, 1, 0)])

    assert room_for_one(tally, one_an_hour, NOON) == waits_at + HOUR


def test_what_is_larger_than_the_whole_window_enters_an_empty_one():
    """An estimate keeps nobody out for ever."""
    a_minute = Window("gpu_seconds_per_day", "gpu_ms", DAY, 60_000)
    huge = Amount(1, 3_600_000)

    assert first_room([claim_of(Tally(), a_minute, huge)], NOON).at == NOON
    assert first_room([claim_of(Tally([Counted(NOON, 1, 1)]), a_minute, huge)], NOON).at == NOON + DAY


def test_a_window_tells_when_it_is_empty_again():
    """An hour after the last one; never for what is still to come."""
    tally = tally_of(0, 7, 7200)

    assert tally.refills_at(TEN_AN_HOUR, NOON + SECOND * 10) == NOON + HOUR + SECOND * 7
    assert tally_of(7200).refills_at(TEN_AN_HOUR, NOON) is None


@pytest.mark.parametrize(
    ("budget", "windows"),
    [
        (Budget(), []),
        (Budget(generations_per_hour=10), [("generations_per_hour", "generations", HOUR, 10)]),
        (Budget(gpu_seconds_per_day=60), [("gpu_seconds_per_day", "gpu_ms", DAY, 60_000)]),
        (Budget(generations_per_day=0), [("generations_per_day", "generations", DAY, 0)]),
    ],
)
def test_only_what_a_budget_limits_is_a_window(budget: Budget, windows: list[tuple[object, ...]]):
    """None is no limit; zero is one."""
    assert [(each.limit, each.unit, each.length, each.allowed) for each in windows_of(budget)] == windows


@given(st.lists(st.tuples(st.integers(0, 30), amounts), max_size=12), st.integers(0, 30), amounts)
def test_it_is_the_first_moment_at_which_nothing_is_too_full(
    counted: list[tuple[int, Amount]], second: int, amount: Amount
):
    """Before it, whichever second one tries, some stretch would hold too much; from it on, none does that did not."""
    tally = Tally()
    for at, each in counted:
        tally.add(NOON + SECOND * at, each)
    claims = [claim_of(tally, SHORT, amount), claim_of(tally, LONG, amount)]
    found = (first_room(claims, NOON + SECOND * second).at - NOON) // SECOND

    assert all(fits(counted, claims, at) is (at == found) for at in range(second, found + 1))


def fits(counted: list[tuple[int, Amount]], claims: list[Claim], moment: int) -> bool:
    """As it is written in the definition of a window: every stretch that would hold it has room for it."""
    for claim in claims:
        length = claim.window.length // SECOND
        for end in {moment, *(at for at, _ in counted if moment < at < moment + length)}:
            held = sum(getattr(each, claim.window.unit) for at, each in counted if end - length < at <= end)
            if held + claim.amount > claim.window.allowed:
                return False
    return True


@given(st.lists(st.tuples(st.integers(0, 3), amounts), min_size=1, max_size=40))
def test_whoever_waits_for_room_never_makes_a_stretch_too_full(arrivals: list[tuple[int, Amount]]):
    """However they come, in their order: no stretch ever holds more than is allowed, beyond what one alone does."""
    tally, moment, counted = Tally(), NOON, []
    for pause, amount in arrivals:
        moment += SECOND * pause
        claims = [claim_of(tally, SHORT, amount), claim_of(tally, LONG, amount)]
        at = first_room(claims, max(moment, tally.last or moment)).at
        tally.add(at, amount)
        counted.append((at, amount))

    assert [at for at, _ in counted] == sorted(at for at, _ in counted)
    for end, _ in counted:
        inside = [each for at, each in counted if end - SHORT.length < at <= end]
        assert len(inside) <= SHORT.allowed
        busy = [each.gpu_ms for at, each in counted if end - LONG.length < at <= end]
        assert sum(busy) <= LONG.allowed or len([each for each in busy if each]) == 1
