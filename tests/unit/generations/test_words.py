"""Texts as words: what is written and what is looked for meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.generations.words import BOUNDARY, Term, document, fact, pair, terms_of, to_tsvector, words_of

WRITTEN = {
    "A red Fox, at dawn.": "a red fox at dawn",
    "(masterpiece:1.2), ((bokeh))": "masterpiece 1 2 bokeh",
    "<lora:red_ink-v2:0.8>": "lora red ink v2 0 8",
    "Café ÉCOLE Straße ЁЛКА": "cafe ecole strasse елка",
    "ｆｏｘ ①": "fox 1",
    "東京都": "東京 京都 都",
    "sea狐sea": "sea 狐 sea",
    "여우가": "여우 우가 가",
    "हिन्दी भाषा": "हिन्दी भाषा",
    "🦊": "🦊",
    "*** -- ...": "",
}


@pytest.mark.parametrize(("text", "words"), WRITTEN.items())
def test_a_text_is_its_words(text, words):
    """Without case, accents and signs; scripts without spaces as pairs of neighbours."""
    assert " ".join(words_of(text)) == words


LOOKED_FOR = {
    "fox RED": ["fox*", "red*"],
    '"Red Fox" dawn': ["red fox", "dawn*"],
    '"red fo': ["red fo*"],
    "red_fox": ["red fox*"],
    "(word:1.2)": ["word 1 2*"],
    "東京": ["東京"],
    "東京都": ["東京 京都"],
    "狐": ["狐*"],
    '"狐"': ["狐*"],
    "fox fox": ["fox*"],
    "% _ ' \" \\ * ( ) : - + ^ AND": ["and*"],
    '""': [],
}


@pytest.mark.parametrize(("text", "terms"), LOOKED_FOR.items())
def test_what_is_typed_is_the_beginning_of_words(text, terms):
    """In quotes it is whole words that follow each other, and so is what a text joins."""
    assert [" ".join(term.words) + "*" * term.is_beginning for term in terms_of(text)] == terms


@given(st.text(), st.text())
def test_every_text_is_found_by_whatever_part_of_it(before, after):
    """Whole and in quotes, whatever stands around it."""
    part = "red 狐狸 fox"
    written = " ".join(words_of(f"{before} {part} {after}"))

    (term,) = terms_of(f'"{part}"')
    assert f" {' '.join(term.words)} " in f" {written} "


@given(st.text())
def test_whatever_is_typed_is_understood(text):
    """Nothing is an error, and nothing that a database would take for a sign of its own is left in a word."""
    words = [word for term in terms_of(text) for word in term.words]

    assert all(word and not set(word) & set(" '\"\\*:&|!()<>\x00") for word in words)


def test_a_text_cannot_state_a_fact():
    """Neither can it reach from one text into the next."""
    words = document([fact("tag", "sea"), BOUNDARY, "a b"], [fact("tag", "sky")])

    assert words[0] == fact("tag", "sky")
    assert words.count(BOUNDARY) == 3
    assert fact("tag", "sea") not in words
    assert fact("tag", "Sea") != fact("tag", "sea") != fact("lora", "sea")


def test_a_very_long_text_is_found_by_its_beginning():
    """The rest of it would cost everybody else."""
    words = document(["x" * 1000, "a " * 10_000], [])

    assert words[1] == "x" * 64
    assert len(words) == 3600
    assert terms_of("x" * 400) == [Term(("x" * 64,), is_beginning=True)]


def test_postgresql_is_told_each_word_with_its_places_and_its_neighbour():
    """The gap between two texts is a place that nothing takes, and nobody's neighbour; neither are facts anybody's."""
    tsvector = to_tsvector([fact("tag", "sea"), BOUNDARY, "a", "b", "a", BOUNDARY, "c"])

    pairs = f"'{pair('a', 'b')}' '{pair('b', 'a')}'"
    assert tsvector == f"'{fact('tag', 'sea')}':1 'a':3,5 'b':4 'c':7 {pairs}"
