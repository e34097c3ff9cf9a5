"""What of a request says who is asking."""

from __future__ import annotations

import base64

import pytest

from sidecar.accounts.credentials import ByProxy, Credentials, Password, Session, Token
from sidecar.errors import CredentialsInvalid
from sidecar.settings import Access


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("shown", "counts"),
    [
        ({"cookie": "s"}, Session("s")),
        ({"cookie": "s", "authorization": "Bearer gno_t"}, Token("gno_t")),
        ({"cookie": "s", "token": "gno_q"}, Token("gno_q")),
        ({"authorization": "bearer  gno_t "}, Token("gno_t")),
        ({"authorization": basic("ada:gno_t")}, Token("gno_t", "ada")),
        ({"authorization": basic("ada:pass:word")}, Password("ada", "pass:word")),
        ({"forwarded_user": "ada"}, None),
        ({"cookie": "", "authorization": None}, None),
    ],
)
def test_what_was_put_there_on_purpose_comes_before_what_a_browser_adds(shown: dict[str, str], counts: object):
    """A program's token is not overruled by a cookie that happens to be there."""
    assert Credentials(address="", **shown).shown(Access.ACCOUNTS) == counts


@pytest.mark.parametrize(
    ("shown", "counts"),
    [
        ({"forwarded_user": "ada", "authorization": "Bearer gno_t"}, ByProxy("ada")),
        ({"authorization": "Bearer gno_t"}, Token("gno_t")),
        ({"cookie": "s"}, None),
    ],
)
def test_behind_a_proxy_its_word_comes_first_and_nobody_logs_in(shown: dict[str, str], counts: object):
    """Programs may come past it, with a token."""
    assert Credentials(address="", **shown).shown(Access.PROXY) == counts


@pytest.mark.parametrize("header", ["Basic ???", "Basic " + base64.b64encode(b"\xff\xfe:x").decode(), "Digest x", "x"])
def test_what_cannot_be_read_is_nobodys(header: str):
    """It is not passed over in favour of a cookie."""
    with pytest.raises(CredentialsInvalid):
        Credentials(address="", cookie="s", authorization=header).shown(Access.ACCOUNTS)


def test_a_password_is_of_no_use_behind_a_proxy():
    """There, nobody logs in with one."""
    with pytest.raises(CredentialsInvalid, match="Programs show a token"):
        Credentials(address="", authorization=basic("ada:four unlikely lamps sing")).shown(Access.PROXY)
