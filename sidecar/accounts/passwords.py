"""
Passwords: which ones will do, and how they are kept (argon2id).

The rules are those of NIST SP 800-63B-4, section 3.1.1: length counts, common ones are refused, and nobody has to use
digits or signs, or another password every few months.
"""

from __future__ import annotations

import asyncio
import gzip
import unicodedata
from collections.abc import Collection
from functools import cached_property, lru_cache
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from sidecar.errors import PasswordUnfit

SHORTEST = 15  # "a minimum of 15 characters" where the password is all there is
LONGEST = 256
COMMON = "common_passwords.txt.gz"
THIS_PLACE = frozenset({"genonaut", "comfyui", "comfy"})
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "1234567890", "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm")
FEWEST_CHARACTERS = 5  # different ones
HASHED_AT_ONCE = 2  # each takes 64 MiB and a core for some hundredths of a second


class Passwords:
    """
    Hashes passwords and compares them. One a process.

    Args:
        hasher: Its parameters are what a hash costs; one that was made with others is made anew at the next log-in.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._places = asyncio.Semaphore(HASHED_AT_ONCE)

    async def hash(self, password: str) -> str:
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, stored_form(password))

    async def fits(self, known: str | None, password: str) -> bool:
        """
        Is it the one of which this is the hash?

        It takes as long where there is no hash to compare with, so that nobody learns by the clock who has an account.
        """
        async with self._places:
            return await asyncio.to_thread(self._fits, known, stored_form(password))

    def is_outdated(self, known: str) -> bool:
        """Would it be hashed with other parameters today?"""
        return self._hasher.check_needs_rehash(known)

    def _fits(self, known: str | None, password: str) -> bool:
        nobodys = self._nobodys
        try:
            self._hasher.verify(known or nobodys, password)
        except (VerifyMismatchError, InvalidHashError):
            return False
        return known is not None

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody's password")


def stored_form(password: str) -> str:
    """The same for one and the same password, whichever way a keyboard writes its ä."""
    return unicodedata.normalize("NFC", password)


def check(password: str, *, name: str, field: str = "password") -> None:
    """
    Will it do for the person of this name?

    Args:
        field: What it is called where it was asked for.

    Raises:
        PasswordUnfit: It says why.
    """
    length = len(stored_form(password))
    if length < SHORTEST:
        raise unfit(
            field, f"Take at least {SHORTEST} characters: four or five words that have nothing to do with one another."
        )
    if length > LONGEST:
        raise unfit(field, f"Take at most {LONGEST} characters.")
    if is_common(password, frozenset(pieces(name)) | THIS_PLACE):
        raise unfit(field, "This password is among the first that others would try. Take a few words more.")


def unfit(field: str, sentence: str) -> PasswordUnfit:
    return PasswordUnfit(sentence, errors=({"field": field, "code": "password_unfit", "message": sentence},))


def is_common(password: str, obvious: Collection[str] = ()) -> bool:
    """
    Is it one of the most frequent passwords, or two of them, with whatever digits and signs around and between them? Or
    a run over the keyboard, or a few characters again and again?

    Args:
        obvious: Words that are common here.
    """
    plain = unicodedata.normalize("NFKC", password).casefold()
    letters = "".join(sign for sign in plain if sign.isalpha())
    if len(set(plain)) < FEWEST_CHARACTERS or is_run(plain) or is_run(letters):
        return True
    common = common_words()

    def is_word(word: str) -> bool:
        return word in common or word in obvious

    unit = repeated(letters)
    return is_word(unit) or any(is_word(unit[:cut]) and is_word(unit[cut:]) for cut in range(1, len(unit)))


def is_run(text: str) -> bool:
    """Does it follow a row of the keyboard or the alphabet, forwards or backwards, again and again?"""
    if not text:
        return False
    rows = [row * (len(text) // len(row) + 2) for row in ROWS]
    return any(text in row or text[::-1] in row for row in rows)


def repeated(text: str) -> str:
    """What it repeats; itself where it repeats nothing."""
    found = (text + text).find(text, 1)
    return text[:found]


def pieces(name: str) -> list[str]:
    """The words of a name, and the name without what stands between them."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    words = "".join(sign if sign.isalpha() else " " for sign in plain).split()
    return [*words, "".join(words)]


@lru_cache(1)
def common_words() -> frozenset[str]:
    """Common passwords that are letters alone; digits and signs around them help little."""
    packed = (files("sidecar.accounts") / COMMON).read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))
