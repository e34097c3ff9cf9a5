"""What people can be called, and who is the same."""

from __future__ import annotations

import pytest

from sidecar.accounts.names import comparable, readable
from sidecar.errors import InvalidRequest


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Ada", "ADA"),
        ("Ada  Lovelace", " ada lovelace "),
        ("ｂｏｂ", "Bob"),
        ("Zoe\u0308", "ZO\u00cb"),
        ("Straße", "STRASSE"),
        ("ﬁona", "Fiona"),
    ],
)
def test_names_that_look_alike_are_the_same(name: str, same: str):
    """Nobody is taken for somebody else by a capital letter."""
    assert comparable(name) == comparable(same)


@pytest.mark.parametrize("name", ["", "   ", "a:b", "a\x00b", "a\u202eb", "a\nb:c", "x" * 101, "\u200b"])
def test_what_cannot_be_read_or_typed_is_no_name(name: str):
    """A colon ends the name in HTTP's Basic scheme; signs that nobody sees make two names of one."""
    with pytest.raises(InvalidRequest, match="A name has 1 to 100"):
        readable(name)


def test_a_name_is_shown_as_it_was_written():
    """But for what nobody sees."""
    assert readable("  Zoe\u0308   von der  Höhe ") == "Zo\u00eb von der Höhe"
