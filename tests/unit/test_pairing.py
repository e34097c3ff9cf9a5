"""How two that have one secret recognise each other."""

from __future__ import annotations

import time

import pytest

from sidecar.pairing import PAIRING_HEADER, VALID_FOR_S, Pairing

ASKED = ("POST", "/prompt")


def shown(pairing: Pairing, method: str = "POST", path: str = "/prompt") -> str:
    return pairing.headers(method, path)[PAIRING_HEADER]


def test_who_has_the_secret_is_believed_and_does_not_show_it() -> None:
    """
    Whoever answers at the other end learns nothing that proves anything else.
    """
    proof = shown(Pairing("the secret"))

    assert Pairing("the secret").is_proven(proof, *ASKED)
    assert "the secret" not in proof


def test_a_proof_is_good_once() -> None:
    """
    Who has heard it cannot ask again with it.
    """
    proof, pairing = shown(Pairing("the secret")), Pairing("the secret")

    assert [pairing.is_proven(proof, *ASKED) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("asked", [("POST", "/genonaut/cancel"), ("GET", "/prompt")])
def test_a_proof_is_good_for_what_was_asked(asked: tuple[str, str]) -> None:
    """
    And for nothing else.
    """
    assert not Pairing("the secret").is_proven(shown(Pairing("the secret")), *asked)


@pytest.mark.parametrize("guess", ["", "the secret", "1.2", "1.2.3", "1.2.3.4", "\u00fc.\ud800.\0", "." * 10_000])
def test_whatever_else_is_shown_proves_nothing(guess: str) -> None:
    """
    Nor does the secret itself, nor the proof of another one.
    """
    pairing = Pairing("the secret")

    assert not pairing.is_proven(guess, *ASKED)
    assert not pairing.is_proven(shown(Pairing("another secret")), *ASKED)


@pytest.mark.parametrize("late_s", [-VALID_FOR_S - 2, VALID_FOR_S + 2])
def test_a_proof_is_good_for_a_short_while(monkeypatch: pytest.MonkeyPatch, late_s: float) -> None:
    """
    Clocks may differ by some minutes; whoever keeps a proof for longer has nothing.
    """
    then = time.time() + late_s
    proof = shown(Pairing("the secret"))
    monkeypatch.setattr(time, "time", lambda: then)

    assert not Pairing("the secret").is_proven(proof, *ASKED)
