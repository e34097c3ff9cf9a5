"""
Texts as words, so that what somebody looks for is found however it was written.

Case, accents and the width of letters do not matter, and whatever is neither letter nor digit only stands between
words: of `(Café:1.2), <lora:red_ink:0.8>` there remain `cafe 1 2 lora red ink 0 8`. Scripts that put no spaces between
words are cut into pairs of neighbours, of which every part of a text is made: `東京都` is `東京 京都 都`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

WORD_CHARACTERS = 64
WORDS_AT_MOST = 3600  # of one generation; with 4 bytes a character and all pairs still within a tsvector's 1 MB
TERMS_AT_MOST = 20

# No text holds these: they are of Unicode's private use, which is no letter.
BOUNDARY = "\ue001"
FACT = "\ue000"
FACT_BYTES = 8
PAIR_BYTES = 6
NOBODYS = (FACT, BOUNDARY)

# Accents; marks that Hebrew and Arabic are mostly written without.
IGNORED = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]")
# Thai and Lao, Burmese, Khmer, Japanese, Chinese, Korean (whose particles are written together with their noun); emoji.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\u2600-\u27bf\U0001f000-\U0001faff\U00020000-\U0003134f"
)
# In the scripts of India vowels are marks, which Python's \w leaves out.
PIECE = re.compile(rf"[{UNSPACED}]+|(?:[^\W_{UNSPACED}]|[\u0900-\u0963\u0966-\u0dff])+")
ASCII_PIECE = re.compile("[a-z0-9]+")
IS_UNSPACED = re.compile(f"[{UNSPACED}]")
QUOTED = re.compile(r'"([^"]*)("|$)|([^\s"]+)')


@dataclass(frozen=True)
class Term:
    """Words that stand one after the other."""

    words: tuple[str, ...]
    is_beginning: bool
    """The last word may go on."""


def words_of(text: str) -> Iterator[str]:
    return (word for piece in pieces(text) for word in cut(piece))


def pieces(text: str) -> list[str]:
    """What stands between two gaps, or between two kinds of scripts."""
    if text.isascii():  # most texts, in a tenth of the time
        return ASCII_PIECE.findall(text.lower())
    plain = IGNORED.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return PIECE.findall(unicodedata.normalize("NFKC", plain))


def cut(piece: str) -> list[str]:
    if IS_UNSPACED.match(piece):
        return [piece[start : start + 2] for start in range(len(piece))]
    return [piece[:WORD_CHARACTERS]]


def document(texts: Iterable[str], facts: Iterable[str]) -> list[str]:
    """Everything that a generation is found by. What is looked for as neighbours never spans two texts."""
    words = list(facts)
    for text in texts:
        words.append(BOUNDARY)
        words.extend(words_of(text))
    return words[:WORDS_AT_MOST]


def to_tsvector(words: Iterable[str]) -> str:
    """
    As PostgreSQL writes it: each word with its places, and the pairs of neighbours.

    Its index knows no places. With the pairs it knows which texts have two words in a row, and need not read all that
    have both of them somewhere.
    """
    places: defaultdict[str, list[str]] = defaultdict(list)
    pairs: dict[str, None] = {}
    before = BOUNDARY
    for place, word in enumerate(words, 1):
        if word != BOUNDARY:
            places[word].append(str(place))
        if before[0] not in NOBODYS and word[0] not in NOBODYS:
            pairs[pair(before, word)] = None
        before = word
    return " ".join([*(f"'{word}':{','.join(places[word])}" for word in places), *(f"'{each}'" for each in pairs)])


def pair(first: str, second: str) -> str:
    """A word that says that these two stand in a row; a short one, since there are as many as words."""
    return FACT + hashlib.blake2b(f"{first} {second}".encode(), digest_size=PAIR_BYTES).hexdigest()


def fact(kind: str, value: str) -> str:
    """A word that says one thing exactly, to the letter; no text holds it."""
    return FACT + hashlib.blake2b(f"{kind}\0{value}".encode("utf-8", "replace"), digest_size=FACT_BYTES).hexdigest()


def terms_of(text: str) -> list[Term]:
    """
    Read what somebody looks for. All of the terms shall be there.

    A word stands for every word that begins with it; `"in quotes"` they are whole and follow each other. Whatever is
    typed is understood; where no word is left there is nothing to look for.
    """
    terms = (
        read_term(quoted or plain, whole=bool(closed))
        for quoted, closed, plain in (match.groups("") for match in QUOTED.finditer(text))
    )
    return list(dict.fromkeys(term for term in terms if term.words))[:TERMS_AT_MOST]


def read_term(text: str, *, whole: bool) -> Term:
    """A part that the text joins (`red_fox`, `1.2`) is joined here, too."""
    found = pieces(text)
    words = [word for piece in found for word in cut(piece)]
    goes_on = bool(found) and bool(IS_UNSPACED.match(found[-1]))
    if goes_on and len(found[-1]) > 1:
        words.pop()  # the last character alone, which stands there only where the text ends
        return Term(tuple(words), is_beginning=False)
    return Term(tuple(words), is_beginning=goes_on or not whole)
