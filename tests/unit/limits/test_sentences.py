"""What people read when a limit is reached."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from sidecar.limits.sentences import in_words, storage_full, used_up
from sidecar.limits.windows import DAY, HOUR, Claim, Counted, Tally, Window

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
TEN = Claim(Tally(), Window("generations_per_hour", "generations", HOUR, 10), 1)
A_MINUTE = Claim(Tally([Counted(NOON, 5, 50_200)]), Window("gpu_seconds_per_day", "gpu_ms", DAY, 60_000), 11_700)


def test_it_says_which_limit_how_much_is_used_and_when_there_is_room():
    """And what to do."""
    assert used_up(TEN, 10, group=None, room_in=timedelta(minutes=12)) == (
        "Your plan allows 10 generations an hour, and 10 are used. The next one is free in 12 minutes; "
        "submit it again then."
    )


def test_one_is_not_many():
    """Of one generation, one second, one hour."""
    one = Claim(Tally(), Window("generations_per_day", "generations", DAY, 1), 1)

    assert used_up(one, 1, group=None, room_in=timedelta(seconds=1)) == (
        "Your plan allows 1 generation a day, and 1 is used. The next one is free in 1 second; submit it again then."
    )


def test_what_waits_for_room_already_is_not_said_to_be_used():
    """Whoever is refused would else read that more is used than is allowed."""
    told = used_up(TEN, 10, to_come=2, group="3b", room_in=timedelta(minutes=12))

    assert told.startswith("The group 3b may use 10 generations an hour, and 10 are used and 2 more wait for room.")


def test_of_gpu_seconds_it_says_what_this_one_needs():
    """There may be some left, and too few for it."""
    assert used_up(A_MINUTE, 50_200, group="3b", room_in=timedelta(hours=3)) == (
        "The group 3b may use 60 GPU seconds a day; 51 are used, and this needs about 12. "
        "There is room for it in 3 hours; submit it again then."
    )


def test_whose_pictures_fill_their_room_hears_what_helps():
    """Also that the trash counts."""
    assert storage_full(5 * 1024**3, 5 * 1024**3, group=None) == (
        "Your pictures take 5.0 GB of the 5.0 GB that are allowed. "
        "Delete what you do not need (there is room when it has left the trash), or ask an administrator for more."
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second"),
        (1, "1 second"),
        (59.5, "60 seconds"),
        (119, "119 seconds"),
        (121, "3 minutes"),
        (5400, "90 minutes"),
        (7201, "3 hours"),
        (172800, "2 days"),
    ],
)
def test_durations_are_rounded_up_and_readable(seconds: float, words: str):
    """Whoever comes back then is not told to come back once more."""
    assert in_words(timedelta(seconds=seconds)) == words
