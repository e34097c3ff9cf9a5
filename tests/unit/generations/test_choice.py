"""Which instance gets what."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sidecar.generations.choice import Choice, Seat, Seating, Wish
from sidecar.identity import uuid7
from sidecar.limits.paces import Line

FIRST, SECOND = UUID(int=1), UUID(int=2)


def wish(
    checkpoint: str = "a.safetensors", *, able: frozenset[UUID] | None = None, may_be_at: UUID | None = None
) -> Wish:
    return Wish(uuid7(), checkpoint, able, may_be_at)


def choose(wishes: list[Wish], seats: list[Seat]) -> Choice | None:
    """The first one that goes."""
    return next(iter(seated(Seating(seats), wishes)), None)


def seated(seating: Seating, wishes: list[Wish]) -> list[Choice]:
    """Those that go, one after the other, as long as there are places."""
    choices = []
    for wanted in wishes:
        seat = seating.best_for(wanted) if seating.has_places() else None
        if seat is None:
            continue
        if seat.places:
            choices.append(Choice(wanted.generation_id, seat.instance_id))
        seating.seat(wanted, seat)
    return choices


def idle(instance_id: UUID, **facts: Any) -> Seat:
    return Seat(instance_id, **{"places": 2, **facts})


def full(instance_id: UUID, **facts: Any) -> Seat:
    return Seat(instance_id, **{"places": 0, "busy_s": 20.0, **facts})


def test_nothing_goes_where_every_place_is_taken():
    """One runs and one is fed ahead; the third one waits here, where it can be cancelled and go elsewhere."""
    assert choose([wish()], [full(FIRST)]) is None


def test_the_one_that_has_less_to_do_gets_it():
    """It will be finished there first."""
    wanted = wish()

    assert choose([wanted], [idle(FIRST, busy_s=10.0), idle(SECOND)]) == Choice(wanted.generation_id, SECOND)


def test_the_faster_one_gets_it():
    """As far as is known from what was made there."""
    wanted = wish()
    seats = [
        idle(FIRST, lines={"a.safetensors": Line(60.0, 0.0)}),
        idle(SECOND, lines={"a.safetensors": Line(3.0, 0.0)}, busy_s=30.0),
    ]

    assert choose([wanted], seats) == Choice(wanted.generation_id, SECOND)


def test_of_two_idle_ones_the_one_with_the_checkpoint_gets_it():
    """Reading a checkpoint takes longer than many a picture."""
    wanted = wish("b.safetensors")
    seats = [idle(FIRST, checkpoint="a.safetensors"), idle(SECOND, checkpoint="b.safetensors")]

    assert choose([wanted], seats) == Choice(wanted.generation_id, SECOND)


def test_nobody_waits_behind_another_one_only_for_a_loaded_checkpoint():
    """The preference is bounded by what loading costs."""
    wanted = wish("b.safetensors")
    seats = [idle(FIRST, checkpoint="a.safetensors"), idle(SECOND, checkpoint="b.safetensors", busy_s=10.0)]

    assert choose([wanted], seats) == Choice(wanted.generation_id, FIRST)


def test_turns_are_kept():
    """The first one in the order of turns goes, whatever is loaded for those behind it."""
    first, second = wish("a.safetensors"), wish("b.safetensors")

    assert choose([first, second], [idle(FIRST, checkpoint="b.safetensors")]) == Choice(first.generation_id, FIRST)


def test_every_free_place_is_filled_and_no_more():
    """One look is enough, however many places there are; whoever gets one makes the others wait for longer there."""
    wishes = [wish() for _ in range(9)]
    seating = Seating([idle(FIRST), idle(SECOND, places=1)])
    choices = seated(seating, wishes)

    assert [choice.generation_id for choice in choices] == [each.generation_id for each in wishes[:3]]
    assert sorted(choice.instance_id for choice in choices) == [FIRST, FIRST, SECOND]
    assert not seating.has_places()


def test_those_that_come_later_reckon_with_those_before_them():
    """Page after page is read of those that wait, and it makes no difference where one ends."""
    wishes = [wish("a.safetensors") for _ in range(12)]
    fast = full(FIRST, busy_s=4.0, checkpoint="a.safetensors", lines={"a.safetensors": Line(2.0, 0.0)})
    slow = idle(SECOND, checkpoint="a.safetensors", lines={"a.safetensors": Line(21.0, 0.0)})
    seating = Seating([fast, slow])

    assert [seated(seating, wishes[:5]), seated(seating, wishes[5:])] == [[], seated(Seating([fast, slow]), wishes)]


def test_what_a_busy_fast_one_finishes_sooner_waits_for_it():
    """A free place on a slow one is no gain."""
    seats = [
        full(FIRST, busy_s=4.0, lines={"a.safetensors": Line(2.0, 0.0)}),
        idle(SECOND, lines={"a.safetensors": Line(60.0, 0.0)}),
    ]

    assert choose([wish()], seats) is None


def test_those_behind_reckon_with_those_that_wait():
    """So many wait for the fast one that the slow one is the quicker way for those behind them."""
    loaded = "a.safetensors"
    wishes = [wish(loaded) for _ in range(20)]
    fast = full(FIRST, busy_s=4.0, checkpoint=loaded, lines={loaded: Line(2.0, 0.0)})
    slow = idle(SECOND, checkpoint=loaded, lines={loaded: Line(21.0, 0.0)})

    # Eight of them are done by the fast one after 20 seconds, the ninth would be after 22.
    assert choose(wishes, [fast, slow]) == Choice(wishes[8].generation_id, SECOND)


def test_the_first_of_those_that_wait_for_an_instance_gets_its_next_place():
    """Nobody who came later overtakes there: nobody starves."""
    wishes = [wish() for _ in range(5)]
    seats = [idle(FIRST, places=1, busy_s=2.0, lines={"a.safetensors": Line(2.0, 0.0)}), idle(SECOND, busy_s=100.0)]

    assert choose(wishes, seats) == Choice(wishes[0].generation_id, FIRST)


def test_it_goes_only_where_its_models_are():
    """However idle the others are; and it does not stand in the way of those behind it."""
    wanted, other = wish(able=frozenset({FIRST})), wish()
    seats = [full(FIRST), idle(SECOND)]

    assert choose([wanted, other], seats) == Choice(other.generation_id, SECOND)
    assert choose([wanted], [idle(FIRST, busy_s=99.0), idle(SECOND)]) == Choice(wanted.generation_id, FIRST)


def test_what_may_have_arrived_somewhere_is_asked_for_there_again():
    """Anywhere else it might run a second time."""
    wanted = wish(may_be_at=FIRST)

    assert choose([wanted], [idle(FIRST, busy_s=10.0), idle(SECOND)]) == Choice(wanted.generation_id, FIRST)
    assert choose([wanted], [full(FIRST), idle(SECOND)]) is None


def test_what_may_have_arrived_where_nobody_answers_any_more_goes_elsewhere():
    """Should it come back with it, it is taken out of it."""
    wanted = wish(may_be_at=FIRST)

    assert choose([wanted], [idle(SECOND)]) == Choice(wanted.generation_id, SECOND)


def test_one_that_failed_is_asked_after_one_that_did_not():
    """A generation is tried three times; not three times with the same broken ComfyUI."""
    wanted = wish()

    assert choose([wanted], [idle(FIRST, failures=1), idle(SECOND, busy_s=10.0)]) == Choice(
        wanted.generation_id, SECOND
    )
