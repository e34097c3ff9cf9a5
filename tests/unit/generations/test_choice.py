"""Which instance gets what."""

from __future__ import annotations

from uuid import UUID

from sidecar.generations.choice import Choice, Seat, Wish, choose
from sidecar.identity import uuid7

FIRST, SECOND = UUID(int=1), UUID(int=2)


def wish(**facts: object) -> Wish:
    return Wish(**{"generation_id": uuid7(), "checkpoint": "a.safetensors", **facts})  # type: ignore[arg-type]


def seat(instance_id: UUID, **facts: object) -> Seat:
    return Seat(**{"instance_id": instance_id, "places": 2, "in_flight": 0, "checkpoint": "", **facts})  # type: ignore[arg-type]


def test_nothing_goes_where_every_place_is_taken():
    """One runs and one is fed ahead; the third one waits here, where it can be cancelled and go elsewhere."""
    assert choose([wish()], [seat(FIRST, places=0, in_flight=2)]) is None


def test_the_one_that_has_less_to_do_gets_it():
    """It will be finished there first."""
    wanted = wish()

    assert choose([wanted], [seat(FIRST, in_flight=1, places=1), seat(SECOND)]) == Choice(wanted.generation_id, SECOND)


def test_of_two_idle_ones_the_one_with_the_checkpoint_gets_it():
    """Reading a checkpoint takes longer than many a picture."""
    wanted = wish(checkpoint="b.safetensors")
    seats = [seat(FIRST, checkpoint="a.safetensors"), seat(SECOND, checkpoint="b.safetensors")]

    assert choose([wanted], seats) == Choice(wanted.generation_id, SECOND)


def test_nobody_waits_behind_another_one_only_for_a_loaded_checkpoint():
    """The preference is bounded by what loading costs."""
    wanted = wish(checkpoint="b.safetensors")
    seats = [seat(FIRST, checkpoint="a.safetensors"), seat(SECOND, checkpoint="b.safetensors", in_flight=1, places=1)]

    assert choose([wanted], seats) == Choice(wanted.generation_id, FIRST)


def test_turns_are_kept():
    """The first one in the order of turns goes, whatever is loaded for those behind it."""
    first, second = wish(checkpoint="a.safetensors"), wish(checkpoint="b.safetensors")

    assert choose([first, second], [seat(FIRST, checkpoint="b.safetensors")]) == Choice(first.generation_id, FIRST)


def test_what_may_have_arrived_somewhere_is_asked_for_there_again():
    """Anywhere else it might run a second time."""
    wanted = wish(may_be_at=FIRST)

    assert choose([wanted], [seat(FIRST, in_flight=1, places=1), seat(SECOND)]) == Choice(wanted.generation_id, FIRST)
    assert choose([wanted], [seat(FIRST, in_flight=2, places=0), seat(SECOND)]) is None


def test_what_may_have_arrived_where_nobody_answers_any_more_goes_elsewhere():
    """Should it come back with it, it is taken out of it."""
    wanted = wish(may_be_at=FIRST)

    assert choose([wanted], [seat(SECOND)]) == Choice(wanted.generation_id, SECOND)


def test_one_that_failed_is_asked_after_one_that_did_not():
    """A generation is tried three times; not three times with the same broken ComfyUI."""
    wanted = wish()
    seats = [seat(FIRST, failures=1), seat(SECOND, in_flight=1, places=1)]

    assert choose([wanted], seats) == Choice(wanted.generation_id, SECOND)
