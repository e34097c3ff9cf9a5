"""
How a text can be read: as it stands, and as somebody may mean it who writes around a rule.

A reading is the text's words, in lower case, with one space before, between and after them; so a whole word is found by
looking for it between spaces, in whichever script. Nothing here knows a rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import cache

WORD = re.compile(r"[^\W_]+")
EMPHASIS = re.compile(r"\\?[()\[\]{}]|:\s*[\d.]+(?=\s*[)\]])")  # ComfyUI's (word:1.2), which may begin within a word
WITHIN_A_WORD = re.compile(r"(?<=[^\W_])[-_.*'’·•~^]+(?=[^\W_])")
# Single characters, all of them kept apart in the same way: `b o m b`, `b.o.m.b`. Another gap ends the word.
SPELLED_OUT = re.compile(r"(?<![^\W_])[^\W_](?:(\s+|\s*[^\w\s]\s*|_)[^\W_](?![^\W_]))(?:\1[^\W_](?![^\W_]))+")
GAP = re.compile(r"[\W_]+")

DIGITS_AS_LETTERS = {
    "0": "o",
    "3": "e",
    "4": "a",
    "5": "s",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "€": "e",
    "+": "t",
}
LETTERS_OR_SIGNS = re.compile(r"[\w@$€+!|]+")
LETTER = re.compile(r"[^\W\d_]")
ONE_MAY_BE = ("i", "l")
STANDS_FOR_A_LETTER = re.compile(r"[\d@$€+!|]")


def readings(text: str) -> list[str]:
    """
    Every way in which this text is looked at; each once, at least one.

    The first is the text as it stands (but for capitals, accents, and characters that nobody sees).
    """
    found: dict[str, None] = {}
    for script in in_scripts(visible(text)):
        for variant in variants(script):
            for written in in_letters(variant):
                found.setdefault(in_words(written))
    return list(found)


def in_words(text: str) -> str:
    return f" {' '.join(WORD.findall(text))} "


def visible(text: str) -> str:
    """Letters of whichever width and style as plain ones, without accents, and without what takes up no room."""
    if text.isascii():
        return text
    parted = unicodedata.normalize("NFKD", text)
    return "".join(character for character in parted if unicodedata.category(character) not in {"Mn", "Cf", "Me"})


def in_scripts(text: str) -> Iterator[str]:
    """In lower case: as it is, and with each foreign letter read as the Latin one that it looks like."""
    yield text.casefold()
    if not text.isascii():
        yield text.translate(look_alikes()).casefold()


def variants(text: str) -> Iterator[str]:
    """As it is; and joined again where somebody took words apart."""
    yield text
    for join in (without_emphasis, without_marks_in_words, without_spelling):
        joined = join(text)
        if joined != text:
            yield joined


def without_emphasis(text: str) -> str:
    return EMPHASIS.sub("", text)


def without_marks_in_words(text: str) -> str:
    return WITHIN_A_WORD.sub("", text)


def without_spelling(text: str) -> str:
    return SPELLED_OUT.sub(lambda found: GAP.sub("", found[0]), text)


def in_letters(text: str) -> Iterator[str]:
    """As it is; and with the digits and signs that stand in words read as letters."""
    yield text
    if STANDS_FOR_A_LETTER.search(text):
        for one in ONE_MAY_BE:
            yield LETTERS_OR_SIGNS.sub(letters_for(one), text)


def letters_for(one: str) -> Callable[[re.Match[str]], str]:
    """A number stays one; next to a letter it may stand for letters."""
    table = str.maketrans({**DIGITS_AS_LETTERS, "1": one, "!": one, "|": one})
    return lambda found: found[0].translate(table) if LETTER.search(found[0]) else found[0]


@cache
def look_alikes() -> Mapping[int, str]:
    """Foreign letter -> the Latin one that it looks like (Unicode's confusables)."""
    # Not before it is needed: it takes 15 MB, and mostly nobody has rules.
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415

    return {
        ord(foreign): latin[0]
        for foreign, likes in confusables_data.items()
        if len(foreign) == 1
        and not foreign.isascii()
        and (latin := [like["c"] for like in likes if like["c"].isascii() and like["c"].isalpha()])
    }
