"""
What may not be asked for in words.

A rule is compiled once, with an engine whose time grows with the text and with nothing else (RE2): no text, and no
pattern that an administrator writes, can hold up whoever comes next.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import re2
from msgspec import Meta, Struct

from sidecar.comfyui.workflow_reader import Written
from sidecar.limits.plans import Sensitivity
from sidecar.rules.expressions import expression
from sidecar.rules.readings import in_scripts, in_words, readings, visible

Level = Literal["low", "medium", "high"]
Where = Literal["prompt", "negative", "both"]

HOW_STRICT: dict[Sensitivity, int] = {"off": 0, "low": 1, "medium": 2, "high": 3}
WORDS_AT_MOST = 5000
PATTERNS_AT_MOST = 200
REST_OF_A_WORD = r"[^ \n]*"
JOINED_OR_NOT = " ?"  # the words of a phrase
READ_AT_ONCE = 64  # a prompt is mostly submitted again and again

Word = Annotated[str, Meta(min_length=1, max_length=200)]
Pattern = Annotated[str, Meta(min_length=1, max_length=1000)]


class ContentDefinition(Struct, forbid_unknown_fields=True, frozen=True):
    """What a content rule looks for."""

    words: Annotated[tuple[Word, ...], Meta(max_length=WORDS_AT_MOST)] = ()
    """Whole words and phrases, however they are written; `*` at an end stands for the rest of a word."""
    patterns: Annotated[tuple[Pattern, ...], Meta(max_length=PATTERNS_AT_MOST)] = ()
    """Regular expressions (RE2), for texts in lower case; also looked for in the text as it was written."""
    where: Where = "prompt"
    """In what somebody wants, in what they do not want (negative prompts), or in both."""


class PatternFault(Struct, frozen=True):
    """Why something in a definition can be no rule."""

    field: str
    message: str


class ContentRule:
    """A definition, ready to look at texts."""

    def __init__(self, definition: ContentDefinition) -> None:
        """
        Raises:
            ValueError: It has faults (`content_faults`).
        """
        faults = content_faults(definition)
        if faults:
            raise ValueError(faults[0].message)
        self._where = definition.where
        self._words = compiled("|".join(dict.fromkeys(p for word in definition.words for p in patterns_of(word))))
        self._patterns = compiled("|".join(f"(?:{pattern})" for pattern in definition.patterns))

    def concerns(self, written: Written) -> bool:
        return self._where == "both" or (self._where == "negative") == written.is_negative

    def is_hit_by(self, text: str) -> bool:
        as_read = "\n".join(readings_of(text))
        if self._words is not None and self._words.search(as_read):
            return True
        return self._patterns is not None and any(map(self._patterns.search, (as_read, text.casefold())))


def hits(rules: Iterable[ContentRule], texts: Sequence[Written]) -> list[tuple[ContentRule, Written]]:
    """Which rule each text goes against; each pair once."""
    return [
        (rule, written)
        for rule in rules
        for written in texts
        if rule.concerns(written) and rule.is_hit_by(written.text)
    ]


def applies(level: Level, sensitivity: Sensitivity) -> bool:
    """A rule of level `low` concerns everybody who has any sensitivity, one of level `high` only the most sensitive."""
    return HOW_STRICT[sensitivity] >= HOW_STRICT[level]


def content_faults(definition: ContentDefinition) -> list[PatternFault]:
    """Everything in it that cannot be looked for."""
    faults = []
    if not definition.words and not definition.patterns:
        faults.append(PatternFault("words", "Name at least one word or one pattern: this rule finds nothing."))
    for number, word in enumerate(definition.words):
        if not in_words(visible(word.strip("*"))).strip():
            message = f"{word!r} has neither letters nor digits. Write a word or a phrase."
            faults.append(PatternFault(f"words[{number}]", message))
    for number, pattern in enumerate(definition.patterns):
        reason = why_not(pattern)
        if reason is not None:
            faults.append(PatternFault(f"patterns[{number}]", reason))
    return faults


def why_not(pattern: str) -> str | None:
    try:
        found = expression(pattern, case_sensitive=False).search("")
    except re2.error as exc:
        return f"This is no regular expression that RE2 knows: {exc.args[0].decode(errors='replace')}."
    return "It fits every text, also an empty one. Say what must stand there." if found else None


def patterns_of(word: str) -> list[str]:
    """
    A word or phrase as it stands between spaces in a reading, in its own script and as it looks in Latin letters. A
    letter drawn out (`boooomb`) is the letter, and a phrase may be written in one word.
    """
    begins = REST_OF_A_WORD if word.startswith("*") else ""
    ends = REST_OF_A_WORD if word.endswith("*") else ""
    phrases = dict.fromkeys(in_words(script).strip() for script in in_scripts(visible(word)))
    return [f" {begins}{JOINED_OR_NOT.join(map(drawn_out, phrase.split()))}{ends} " for phrase in phrases]


def drawn_out(word: str) -> str:
    """A pattern of a word in which each letter may stand three times and more."""
    runs: list[list[Any]] = []
    for character in word:
        if runs and runs[-1][0] == character:
            runs[-1][1] += 1
        else:
            runs.append([character, 1])
    return "".join(drawn_out_run(re2.escape(character), times) for character, times in runs)


def drawn_out_run(character: str, times: int) -> str:
    return f"{character}(?:{character}{{2,}})?" if times == 1 else f"{character}{{{times},}}"


def compiled(pattern: str) -> Any:
    """An expression to search with; None for one that is empty."""
    return expression(pattern, case_sensitive=False) if pattern else None


@lru_cache(maxsize=READ_AT_ONCE)
def readings_of(text: str) -> tuple[str, ...]:
    """Once for all rules."""
    return tuple(readings(unicodedata.normalize("NFC", text)))
