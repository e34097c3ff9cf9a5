"""How seconds follow from work."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sidecar.limits.paces import REMEMBERED, Line, Sample, line_through, pooled, work_of

SIDES = (512, 640, 768, 832, 1024, 1216, 1536)
SAMPLES = st.lists(st.builds(Sample, st.floats(0.01, 10_000), st.floats(0, 10_000)), min_size=1, max_size=REMEMBERED)


def gpu(base_s: float, s_per_work: float, chance: random.Random, *, count: int, loading_s: float = 0.0) -> list[Sample]:
    """What a graphics card would have taken, give or take 5 %; the first one had to load its model."""
    works = [some_work(chance) for _ in range(count)]
    return [
        Sample(work, (base_s + s_per_work * work) * chance.uniform(0.95, 1.05) + (loading_s if not number else 0.0))
        for number, work in enumerate(works)
    ]


def some_work(chance: random.Random) -> float:
    return work_of(
        width=chance.choice(SIDES),
        height=chance.choice(SIDES),
        steps=chance.randint(10, 40),
        batch_size=chance.choice((1, 1, 1, 2, 4)),
    )


@pytest.mark.parametrize("loading_s", [0.0, 5.0, 60.0])
def test_after_ten_generations_it_is_right_to_fifteen_percent(loading_s: float) -> None:
    """
    At the work in the middle of what was asked for, of ninety-seven cards in a hundred, though the first generation had
    to load its model.
    """
    chance = random.Random(1)
    off_by = []
    for _ in range(300):
        base_s, s_per_work = chance.uniform(0.1, 10), chance.uniform(0.005, 1)
        samples = gpu(base_s, s_per_work, chance, count=10, loading_s=loading_s)
        middling = sorted(sample.work for sample in samples)[len(samples) // 2]
        off_by.append(abs(line_through(samples).seconds(middling) / (base_s + s_per_work * middling) - 1))

    assert sum(off <= 0.15 for off in off_by) / len(off_by) >= 0.97, max(off_by)


def test_most_of_what_comes_is_within_the_range():
    """Of many cards, each after ten generations; most, not all: a range that holds everything says nothing."""
    chance = random.Random(1)
    within = []
    for _ in range(200):
        base_s, s_per_work = chance.uniform(0.1, 10), chance.uniform(0.005, 1)
        line = line_through(gpu(base_s, s_per_work, chance, count=10, loading_s=30.0))
        (one,) = gpu(base_s, s_per_work, chance, count=1)
        expected = line.at(one.work)
        within.append(expected.low_s <= one.seconds <= expected.high_s)

    assert sum(within) / len(within) > 0.9


@settings(max_examples=200)
@given(SAMPLES, st.floats(0.01, 10_000), st.floats(1, 100))
def test_more_work_never_takes_less_and_nothing_takes_less_than_nothing(samples, work, times):
    """Whatever was measured."""
    line = line_through(samples)
    less, more = line.at(work), line.at(work * times)

    assert 0 < less.seconds <= more.seconds
    assert 0 <= less.low_s <= less.seconds <= less.high_s


@settings(max_examples=100)
@given(SAMPLES, st.floats(0, 100_000))
def test_one_that_is_far_off_changes_little(samples, outlier_s):
    """At the work that most have: as any of the others, it may be one of those in the middle, and no more."""
    alike = [Sample(20.0, sample.seconds) for sample in samples]
    assume(len(alike) >= 3)
    line = line_through([*alike, Sample(20.0, outlier_s)])
    ordered = sorted(sample.seconds for sample in alike)
    middle = len(ordered) // 2
    low, high = ordered[max(middle - 1, 0)], ordered[min(middle + 1, len(ordered) - 1)]

    assert low - 0.01 <= line.seconds(20.0) <= high + 0.01


@pytest.mark.parametrize("count", [2, 5, 20])
@pytest.mark.parametrize("times", [0.125, 0.5, 2, 16])
def test_what_is_unlike_all_that_was_measured_is_mostly_within_its_range(times: float, count: int):
    """Which is the wider the further away it is: nobody knows how such a one will go on."""
    chance = random.Random(1)
    within = []
    for _ in range(200):
        base_s, s_per_work = chance.uniform(0.1, 10), chance.uniform(0.005, 1)
        works = [chance.choice((10, 20, 30)) * chance.uniform(0.9, 1.1) for _ in range(count)]
        line = line_through([Sample(work, (base_s + s_per_work * work) * chance.uniform(0.95, 1.05)) for work in works])
        work = (max if times > 1 else min)(works) * times
        expected = line.at(work)
        within.append(expected.low_s <= base_s + s_per_work * work <= expected.high_s)

    assert sum(within) / len(within) > 0.9


def test_a_video_is_as_much_work_as_all_its_frames():
    """Each of them is sampled."""
    image = {"width": 512, "height": 512, "steps": 20, "batch_size": 1}

    assert work_of(**image, frames=81) == pytest.approx(81 * work_of(**image))


def test_where_all_were_alike_what_is_larger_needs_as_much_more():
    """Nothing else is known of how seconds follow from work."""
    line = line_through([Sample(20.0, 4.0)] * 5)

    assert line.seconds(20.0) == pytest.approx(4.0)
    assert line.seconds(80.0) == pytest.approx(16.0)


def test_the_fewer_it_knows_the_wider_its_range():
    """Of one of its like there is little to say."""
    one, many = line_through([Sample(20.0, 4.0)]).at(20.0), line_through([Sample(20.0, 4.0)] * 20).at(20.0)

    assert one.low_s < many.low_s < 4.0 < many.high_s < one.high_s


def test_what_may_be_one_of_several_has_the_range_of_all():
    """A checkpoint that is new here may be a small one or a large one."""
    line = pooled([Line(1.0, 0.0, 0.9, 1.1, 10), Line(9.0, 0.0, 0.9, 1.1, 10)])

    assert line.seconds(20.0) == pytest.approx(5.0)
    assert line.at(20.0).low_s == pytest.approx(0.9)
    assert line.at(20.0).high_s == pytest.approx(9.9)
