"""One tree of errors: each with a code of its own and a sentence for people."""

from __future__ import annotations

import pytest

import sidecar.errors
from sidecar.errors import GenonautError


def every_error(of: type[GenonautError] = GenonautError) -> list[type[GenonautError]]:
    return [of, *(deeper for child in of.__subclasses__() for deeper in every_error(child))]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_has_a_sentence_and_stands_in_the_map(error: type[GenonautError]):
    """The docstring is what a person reads; the map at the top of errors.py shows where it belongs."""
    sentence = error().message

    assert sentence.endswith(".")
    assert sentence[0].isupper()
    assert error.__name__ in (sidecar.errors.__doc__ or "")


def test_every_code_is_used_once():
    """A program that reads the code knows which error it was; one without a code is its parent in other words."""
    codes = [error.code for error in every_error() if "code" in vars(error)]

    assert sorted(codes) == sorted(set(codes))


def test_a_raise_may_say_a_better_sentence():
    """And help, and when to try again."""
    error = GenonautError("The disk is full.", help=("Free some space.",), retry_after_s=60)

    assert (str(error), error.help, error.retry_after_s) == ("The disk is full.", ("Free some space.",), 60)
