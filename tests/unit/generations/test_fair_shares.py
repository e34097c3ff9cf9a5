"""Turns between people, in a simulator: thousands of people, no GPU, days in seconds."""

from __future__ import annotations

import random
from collections import Counter
from uuid import UUID

import pytest
from fakes.crowd import Crowd, FirstComeFirstServed, Prompt, fair_s

from sidecar.generations import fair_shares
from sidecar.generations.choice import LOADING_S

WEIGHTS = (0.5, 1.0, 2.0, 4.0)
LENGTHS_S = (1.0, 2.0, 5.0, 10.0)
LONGEST_S = 1.5 * max(LENGTHS_S)


def busy(crowd: Crowd, *, people: int, each_s: float, expected_s: float | None = None) -> Crowd:
    """
    Everybody waits for as many seconds as their weight is worth, in many short generations or in a few long ones.
    Whoever has the largest weight is the first to come.
    """
    draw = random.Random(1)
    for number in range(people):
        weight, length_s = WEIGHTS[-1 - number * len(WEIGHTS) // people], draw.choice(LENGTHS_S)
        lengths = [length_s * draw.uniform(0.5, 1.5) for _ in range(int(each_s * weight / length_s) + 2)]
        crowd.submit(crowd.somebody(weight), lengths, expected_s=expected_s)
    return crowd


def run_fairly(crowd: Crowd, *, each_s: float) -> Crowd:
    """For as long as everybody's weight can have so many seconds."""
    crowd.run(until=each_s * sum(member.weight for member in crowd.members.values()) / len(crowd.gpus))
    return crowd


def off_by(crowd: Crowd, weight: float) -> float:
    """What all people with this weight got more or less than it is worth, as a part of that."""
    fair = {member: seconds for member, seconds in fair_s(crowd.members.values()).items() if member.weight == weight}
    return sum(member.got_s for member in fair) / sum(fair.values()) - 1.0


@pytest.mark.parametrize("expected_s", [None, 10.0], ids=["expected as it is", "nothing known"])
def test_in_the_long_run_everybody_gets_what_their_weight_is_worth(expected_s: float | None):
    """Within 5 %, in seconds of GPU, in many short generations or in a few long ones, whatever was expected of them."""
    crowd = run_fairly(busy(Crowd(gpus=3), people=120, each_s=220.0, expected_s=expected_s), each_s=150.0)

    assert max(abs(off_by(crowd, weight)) for weight in WEIGHTS) < 0.05
    for member, seconds in fair_s(crowd.members.values()).items():
        assert abs(member.got_s - seconds) < 0.05 * seconds + LONGEST_S


def test_first_come_first_served_is_worth_nothing_to_who_comes_later():
    """The same crowd, to see that the simulator can tell."""
    crowd = run_fairly(busy(FirstComeFirstServed(gpus=3), people=120, each_s=220.0), each_s=20.0)

    assert min(off_by(crowd, weight) for weight in WEIGHTS) == -1.0


def test_no_turn_is_waited_for_longer_than_everybody_elses():
    """While one generation of mine is worth so many seconds, others get what those are worth to them, and one each."""
    crowd = run_fairly(busy(Crowd(gpus=2), people=60, each_s=60.0), each_s=50.0)
    weights = {member.id: member.weight for member in crowd.members.values()}

    for went in crowd.went:
        mine_s = LONGEST_S / weights[went.prompt.person_id]
        bound_s = sum(mine_s * weight + LONGEST_S for weight in weights.values()) / len(crowd.gpus)
        assert went.waited_for_its_turn_s <= bound_s


def delays(crowd: Crowd, wanted: Prompt) -> Counter[UUID]:
    """Whose generations were let go after it was submitted and before it went; how many of each."""
    end = next((number for number, went in enumerate(crowd.went) if went.prompt is wanted), len(crowd.went))
    return Counter(went.prompt.person_id for went in crowd.went[:end] if went.at > wanted.at)


def test_a_newcomer_goes_after_at_most_one_of_everybody_who_waits():
    """Whatever those got before, and however many they wait for."""
    crowd = busy(Crowd(gpus=2), people=1000, each_s=30.0)
    wanted: list[Prompt] = []
    for number in range(20):
        crowd.later(300.0 * number + 0.3, lambda: wanted.extend(crowd.submit(crowd.somebody(), 3.0)))
    crowd.run(until=9000.0)

    assert set(wanted) <= {went.prompt for went in crowd.went}
    assert max(max(delays(crowd, each).values(), default=0) for each in wanted) <= 1


@pytest.mark.parametrize(
    ("rule", "at_most"), [(Crowd, 1), (FirstComeFirstServed, 10_000)], ids=["turns", "first come, first served"]
)
def test_ten_thousand_of_one_person_delay_another_one_by_at_most_one(rule: type[Crowd], at_most: int):
    crowd = rule()
    crowd.submit(crowd.somebody(), [1.0] * 10_000)
    crowd.run(until=100.5)
    (wanted,) = crowd.submit(crowd.somebody(), 1.0)
    crowd.run(turns=500)

    before = delays(crowd, wanted).total()
    assert before <= at_most
    assert (before <= 1) == (rule is Crowd)


def two_with_two_checkpoints() -> Crowd:
    """Both always wait, each for images of their own checkpoint."""
    crowd = Crowd()
    for checkpoint in ("a.safetensors", "b.safetensors"):
        crowd.submit(crowd.somebody(), [2.0] * 200, checkpoint=checkpoint)
    return crowd


def test_a_loaded_checkpoint_is_used_for_some_before_it_is_replaced(monkeypatch: pytest.MonkeyPatch):
    """To load another one for each image would take longer than the images. Shares stay as they were."""
    crowd = two_with_two_checkpoints()
    crowd.run(turns=300)
    monkeypatch.setattr(fair_shares, "WARM_AT_MOST_S", 0.0)
    impatient = two_with_two_checkpoints()
    impatient.run(turns=300)

    assert impatient.gpus[0].loads == 151
    assert crowd.gpus[0].loads < 60
    assert abs(Counter(went.prompt.person_id for went in crowd.went).most_common(1)[0][1] - 150) <= 10


def test_nobody_lets_others_pass_for_longer_than_is_bearable():
    """For the sake of a loaded checkpoint: so many in a row, so many seconds; none that takes longer."""
    crowd = two_with_two_checkpoints()
    crowd.run(turns=300)
    longest_s = fair_shares.WARM_AT_MOST_S + 3 * (2.0 + LOADING_S)

    assert max(went.waited_for_its_turn_s for went in crowd.went[2:]) <= longest_s
    slow = Crowd()
    for checkpoint in ("a.safetensors", "b.safetensors"):
        slow.submit(slow.somebody(), [fair_shares.WARM_AT_MOST_S + 1] * 20, checkpoint=checkpoint)
    slow.run(turns=30)
    assert slow.gpus[0].loads >= 28  # one runs, one is fed ahead


def test_nobody_passes_a_newcomer_twice():
    """Not even with the checkpoint that is loaded."""
    crowd = Crowd()
    for _ in range(5):
        crowd.submit(crowd.somebody(), [1.0] * 100, checkpoint="a.safetensors")
    crowd.run(until=50.5)
    (wanted,) = crowd.submit(crowd.somebody(), 1.0, checkpoint="b.safetensors")
    crowd.run(turns=100)

    assert max(delays(crowd, wanted).values()) <= 1


def ever_new_people(crowd: Crowd) -> float | None:
    """More of them than there are seconds, each with one generation. When does the third one go of who was there?"""
    *_, third = crowd.submit(crowd.somebody(), [1.0] * 3)
    for number in range(800):
        crowd.later(0.95 * number, lambda: crowd.submit(crowd.somebody(), 1.0))
    crowd.run(until=700.0)
    return next((went.at for went in crowd.went if went.prompt is third), None)


def test_nobody_starves_though_ever_new_people_come(monkeypatch: pytest.MonkeyPatch):
    """Turns age: the time goes on with every one of them."""
    went_at = ever_new_people(Crowd())
    monkeypatch.setattr(fair_shares, "AGEING", 1_000_000)

    assert went_at is not None
    assert went_at < 100.0
    assert ever_new_people(Crowd()) is None


def test_a_slow_pool_starves_nobody():
    """Some models are on one GPU alone, for which many wait; on the others things go faster, for fewer people."""
    crowd = Crowd(gpus=2)
    slow, fast = crowd.gpus
    for weight in (1.0, 1.0, 2.0, 4.0):
        crowd.submit(crowd.somebody(weight), [5.0] * 150, on=[slow])
    alone = crowd.somebody()
    crowd.submit(alone, [5.0] * 300, on=[fast])
    crowd.run(until=1000.0)
    (wanted,) = crowd.submit(crowd.somebody(), 5.0, on=[slow])
    crowd.run(until=1200.0)

    there = [member for member in crowd.members.values() if member.got_s > 5.0 and member is not alone]
    for member, seconds in fair_s(there).items():
        assert abs(member.got_s - seconds) < 0.05 * seconds + 10.0
    assert max(delays(crowd, wanted).values()) <= 1 + delays(crowd, wanted)[alone.id]
