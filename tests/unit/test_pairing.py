"""How two that have one secret recognise each other, asking and answering."""

from __future__ import annotations

import time
import timeit
from typing import Any

import pytest

from sidecar.pairing import (
    PAIRING_HEADER,
    SIDECAR,
    START_ALLOWANCE_S,
    VALID_FOR_S,
    ClocksDiffer,
    Misdirected,
    NotProven,
    Pairing,
    Question,
    hash_of,
)

ASKED = ("POST", "/prompt?front=1")
BODY = b'{"prompt": {}}'


@pytest.fixture
def ours() -> Pairing:
    return Pairing("the secret")


@pytest.fixture
def theirs() -> Pairing:
    """Who asks."""
    return Pairing("the secret")


def shown(question: Question) -> str:
    return question.headers[PAIRING_HEADER]


def test_who_has_the_secret_is_believed_and_does_not_show_it(ours: Pairing, theirs: Pairing) -> None:
    """
    Whoever listens learns nothing that proves anything else.
    """
    asked = theirs.ask(*ASKED, BODY, whom=ours.process)
    question = ours.check(shown(asked), *ASKED)

    assert question.is_about(BODY)
    assert "the secret" not in shown(asked) + repr(asked)


def test_a_question_is_good_once(ours: Pairing, theirs: Pairing) -> None:
    """
    Who has heard it cannot ask again with it.
    """
    asked = shown(theirs.ask(*ASKED, whom=ours.process))
    ours.check(asked, *ASKED)

    with pytest.raises(NotProven):
        ours.check(asked, *ASKED)


@pytest.mark.parametrize(
    "asked",
    [("POST", "/genonaut/cancel"), ("GET", "/prompt?front=1"), ("POST", "/prompt"), ("POST", "/prompt?front=2")],
)
def test_a_question_is_good_for_what_was_asked(ours: Pairing, theirs: Pairing, asked: tuple[str, str]) -> None:
    """
    For nothing else: not by another method, of another route, with another query.
    """
    with pytest.raises(NotProven):
        ours.check(shown(theirs.ask(*ASKED, whom=ours.process)), *asked)


def test_a_question_has_one_body(ours: Pairing, theirs: Pairing) -> None:
    """
    Whoever passes it on cannot put somebody else's prompt in it, not even by naming that one's hash.
    """
    asked, other = (theirs.ask(*ASKED, body, whom=ours.process) for body in (BODY, b"another"))
    question = ours.check(shown(asked), *ASKED)

    assert not question.is_about(b"another")
    with pytest.raises(NotProven):
        ours.check(shown(asked).replace(asked.body_hash, other.body_hash), *ASKED)


@pytest.mark.parametrize("whom", [SIDECAR, "another-process", ""])
def test_what_is_asked_of_somebody_else_is_not_answered(ours: Pairing, theirs: Pairing, whom: str) -> None:
    """
    All instances have one secret: who takes the place of one of them cannot pass on to another what was asked of it.
    And an instance that was started anew is another process: what was asked before is not asked again.
    """
    with pytest.raises(Misdirected):
        ours.check(shown(theirs.ask(*ASKED, whom=whom)), *ASKED)


def test_a_name_may_be_one_of_several(ours: Pairing, theirs: Pairing) -> None:
    """
    Any process of the sidecar answers what is asked of the sidecar.
    """
    assert ours.check(shown(theirs.ask(*ASKED, whom=SIDECAR)), *ASKED, names=(SIDECAR,))


@pytest.mark.parametrize("guess", ["", "the secret", "1.2.3.4", "1.2.3.4.5", "\u00fc.\ud800.\0.4.5", "." * 10_000])
def test_whatever_else_is_shown_proves_nothing(ours: Pairing, guess: str) -> None:
    """
    Nor does the secret itself, nor a proof of another one.
    """
    for nothing in (guess, shown(Pairing("another secret").ask(*ASKED, whom=ours.process))):
        with pytest.raises(NotProven):
            ours.check(nothing, *ASKED)


@pytest.mark.parametrize("late_s", [-VALID_FOR_S - 2, VALID_FOR_S + 2])
def test_who_reads_another_time_hears_by_how_much(
    monkeypatch: pytest.MonkeyPatch, ours: Pairing, theirs: Pairing, late_s: float
) -> None:
    """
    Clocks may differ by some minutes; beyond that it is told in seconds, and whoever keeps a question has nothing.
    """
    then = time.time() + late_s
    asked = shown(theirs.ask(*ASKED, whom=ours.process))
    monkeypatch.setattr(time, "time", lambda: then)

    with pytest.raises(ClocksDiffer, match=r"differ by 30[123] seconds"):
        ours.check(asked, *ASKED)


def test_what_was_asked_before_a_process_began_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, theirs: Pairing
) -> None:
    """
    It may have been answered by the process before, whose memory of that is gone; only for seconds clocks may differ.
    """
    long_before, just_before = (shown(theirs.ask(*ASKED, whom=SIDECAR)) for _ in range(2))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + START_ALLOWANCE_S + 2)
    with pytest.raises(ClocksDiffer):
        Pairing("the secret").check(long_before, *ASKED, names=(SIDECAR,))
    monkeypatch.setattr(time, "time", lambda: now + START_ALLOWANCE_S - 2)

    assert Pairing("the secret").check(just_before, *ASKED, names=(SIDECAR,))


def test_an_answer_is_believed_of_who_was_asked(ours: Pairing, theirs: Pairing) -> None:
    """
    To this question, with this status and this body, and of nobody who does not have the secret.
    """
    asked, other = (theirs.ask(*ASKED, whom=ours.process) for _ in range(2))
    answer = ours.check(shown(asked), *ASKED).answer(200, b"yes")

    assert asked.is_answered_by(answer, 200, b"yes")
    for question, status, body in ((other, 200, b"yes"), (asked, 403, b"yes"), (asked, 200, b"no")):
        assert not question.is_answered_by(answer, status, body)
    for nothing in ("", "whole.", "\ud800", Pairing("another secret").ask(*ASKED, whom="x").answer(200, b"yes")):
        assert not asked.is_answered_by(nothing, 200, b"yes")
    assert not asked.is_answered_by(f"whole.{asked.proof}", 200, b"yes")


def test_of_a_stream_the_beginning_is_proven_where_a_stream_is_expected(ours: Pairing, theirs: Pairing) -> None:
    """
    Nobody makes a stream of what is to be believed whole.
    """
    asked = theirs.ask(*ASKED, whom=ours.process)
    answer = ours.check(shown(asked), *ASKED).answer(200, None)
    told: dict[str, Any] = {"status": 200, "body": b"what came"}

    assert asked.is_answered_by(answer, **told, a_beginning_will_do=True)
    assert not asked.is_answered_by(answer, **told)
    assert not asked.is_answered_by(answer.replace("begun", "whole"), **told, a_beginning_will_do=True)


def test_a_question_costs_next_to_nothing(ours: Pairing, theirs: Pairing) -> None:
    """
    Asked, checked, answered and believed, a prompt of 100 kB takes little longer than both sides need to hash it.
    """
    body = b"x" * 100_000

    def ask() -> None:
        asked = theirs.ask(*ASKED, body, whom=ours.process)
        question = ours.check(shown(asked), *ASKED)
        assert question.is_about(body)
        assert asked.is_answered_by(question.answer(200, b"{}"), 200, b"{}")

    def hash_twice() -> None:
        hash_of(body)
        hash_of(body)

    asking, hashing = (min(timeit.repeat(do, number=1, repeat=200)) for do in (ask, hash_twice))
    assert asking < 3 * hashing
