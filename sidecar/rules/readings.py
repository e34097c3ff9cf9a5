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
from string import ascii_lowercase

WORD = re.compile(r"[^\W_]+")
EMPHASIS = re.compile(r"\\?[()\[\]{}]|:\s*[\d.]+(?=\s*[)\]])")  # ComfyUI's (word:1.2), which may begin within a word
WITHIN_A_WORD = re.compile(r"""(?<=[^\W_])[-_.*'’·•~^/\\|"#=&+<>]+(?=[^\W_])""")
# Single characters, all of them kept apart in the same way: `b o m b`, `b.o.m.b`. Another gap ends the word.
SPELLED_OUT = re.compile(r"(?<![^\W_])[^\W_](?:(\s+|\s*[^\w\s]\s*|_)[^\W_](?![^\W_]))(?:\1[^\W_](?![^\W_]))+")
GAP = re.compile(r"[\W_]+")

NOT_SEEN = {"Mn", "Me", "Cf", "Cc", "Co", "Cn", "Cs"}  # accents, marks, controls, and what is no character
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and signs that take up room and show nothing
CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
LATIN_BLOCKS = ((0xC0, 0x2AF), (0x1D00, 0x1DBF), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF), (0xAB30, 0xAB6F))
LATIN_NAME = re.compile(
    r"LATIN (?:SMALL LETTER|CAPITAL LETTER|LETTER)"
    r"(?: SMALL CAPITAL| TURNED| REVERSED| BARRED| OPEN| SCRIPT| DOTLESS| SIDEWAYS)* ([A-Z])(?: WITH .+)?"
)
ALPHABETS_IN_FRAMES = (0x1F150, 0x1F170, 0x1F1E6)  # white on black, in a circle and in a square; of flags

DIGITS_AS_LETTERS = {
    "0": "o",
    "2": "z",
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
MAY_BE = ({"1": "i", "6": "b"}, {"1": "l", "6": "g"})
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
        return CONTROLS.sub("", text)
    return "".join(filter(is_seen, unicodedata.normalize("NFKD", text)))


def is_seen(character: str) -> bool:
    if character in FILLERS:
        return False
    return unicodedata.category(character) not in NOT_SEEN or character.isspace()


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
        for digits in MAY_BE:
            yield LETTERS_OR_SIGNS.sub(letters_for(digits), text)


def letters_for(digits: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    """A number stays one; next to a letter it may stand for letters."""
    table = str.maketrans({**DIGITS_AS_LETTERS, **digits, **dict.fromkeys("!|", digits["1"])})
    return lambda found: found[0].translate(table) if LETTER.search(found[0]) else found[0]


@cache
def look_alikes() -> Mapping[int, str]:
    """Letter -> the Latin one that it looks like (Unicode's confusables), or that its name says it is."""
    # Not before it is needed: it takes 15 MB, and mostly nobody has rules.
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415

    confusables = {
        ord(foreign): latin[0]
        for foreign, likes in confusables_data.items()
        if len(foreign) == 1
        and not foreign.isascii()
        and (latin := [like["c"] for like in likes if like["c"].isascii() and like["c"].isalpha()])
    }
    return {**named_letters(), **framed_letters(), **confusables}


def named_letters() -> dict[int, str]:
    """Latin letters with a stroke or a hook, small capitals, letters turned over."""
    names = {code: unicodedata.name(chr(code), "") for first, last in LATIN_BLOCKS for code in range(first, last + 1)}
    return {code: found[1].lower() for code, name in names.items() if (found := LATIN_NAME.fullmatch(name))}


def framed_letters() -> dict[int, str]:
    """Letters that are pictures."""
    return {first + n: letter for first in ALPHABETS_IN_FRAMES for n, letter in enumerate(ascii_lowercase)}
