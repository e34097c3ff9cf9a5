"""Which passwords will do, and how they are compared."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from sidecar.accounts.passwords import LONGEST, SHORTEST, Passwords, check
from sidecar.errors import PasswordUnfit

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
DEARER = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)


@pytest.mark.parametrize(
    "password",
    [
        "password1234567890",
        "PassWord!!PassWord!!",
        "dragon.monkey.2026",
        "1a21a21a21a21a2",
        "aaaaaaaaaaaaaaaaaaaa",
        "123456789012345678",
        "qwertyuiopqwertyuiop",
        "lkjhgfdsalkjhgfdsa",
        "ｐａｓｓｗｏｒｄ１２３４５６７",
        "genonaut-2026-11-21",
        "Ada-Lovelace-10-12-1815",
    ],
)
def test_what_others_would_try_first_is_refused(password: str):
    """However long it is, and whatever digits and signs stand around it."""
    with pytest.raises(PasswordUnfit, match="among the first that others would try"):
        check(password, name="Ada Lovelace")


@pytest.mark.parametrize(
    "password",
    [
        "four unlikely lamps sing",
        "correct horse battery staple",
        "kX9!vb2#qLmT7@wZ",
        "пятнадцать букв тут",
        "fünfzehn müde Möwen",
        "雨の日には傘を忘れずに持って行く",
        " " * 3 + "spaces at both ends " + " " * 3,
    ],
)
def test_any_other_long_one_will_do(password: str):
    """Nobody has to use digits or signs; every letter of every script counts as one."""
    check(password, name="Ada Lovelace")


@pytest.mark.parametrize(
    ("password", "sentence"),
    [("too short", f"at least {SHORTEST}"), ("a long one, " * 30, f"at most {LONGEST}")],
)
def test_length_is_what_counts(password: str, sentence: str):
    """The sentence says how many characters."""
    with pytest.raises(PasswordUnfit, match=sentence):
        check(password, name="Ada")


async def test_it_fits_however_a_keyboard_writes_its_letters():
    """An ä may be one sign or two."""
    passwords = Passwords(CHEAP)
    known = await passwords.hash("sieben mu\u0308de Mo\u0308wen")

    assert await passwords.fits(known, "sieben m\u00fcde M\u00f6wen")
    assert not await passwords.fits(known, "sieben mude Mowen")


async def test_without_an_account_as_much_is_computed_as_with_one(monkeypatch: pytest.MonkeyPatch):
    """Else the time that an answer takes would tell who has an account."""
    passwords = Passwords(CHEAP)
    known = await passwords.hash("four unlikely lamps sing")
    costs: list[str] = []
    verify = PasswordHasher.verify

    def counted(hasher: PasswordHasher, hashed: str, password: str) -> object:
        costs.append(hashed.rpartition("$")[0].rpartition("$")[0])
        return verify(hasher, hashed, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    fit = [await passwords.fits(hashed, "no") for hashed in (known, None)]

    assert fit == [False, False]
    assert costs == costs[:1] * 2


async def test_a_hash_of_other_parameters_is_outdated():
    """It is made anew at the next log-in."""
    known = await Passwords(CHEAP).hash("four unlikely lamps sing")

    assert not Passwords(CHEAP).is_outdated(known)
    assert Passwords(DEARER).is_outdated(known)
    assert await Passwords(DEARER).fits(known, "four unlikely lamps sing")
