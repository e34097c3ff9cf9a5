"""What stands twice, because the pack and the sidecar may not import each other."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import comfy_nodes.credentials
import comfy_nodes.locations
import comfy_nodes.pairing
import comfy_nodes.settings
import sidecar.pairing
import sidecar.settings
import sidecar.sole_use
from sidecar.accounts.cookies import HOST_SESSION_COOKIE, SESSION_COOKIE
from sidecar.accounts.passwords import SHORTEST

CHECKOUT = Path(__file__).resolve().parents[2]


def test_pack_and_sidecar_name_the_sessions_cookie_alike() -> None:
    """
    With TLS and without.
    """
    assert comfy_nodes.credentials.SESSION_COOKIES == (SESSION_COOKIE, HOST_SESSION_COOKIE)


@pytest.mark.parametrize("name", ["read_or_make_secret", "write_secret", "read_whole_secret"])
def test_pack_and_sidecar_make_the_pairing_secret_alike(name: str) -> None:
    """
    Whoever comes first makes it for both; a change of one is a change of the other.
    """
    ours, theirs = getattr(comfy_nodes.settings, name), getattr(sidecar.settings, name)

    assert inspect.getsource(ours) == inspect.getsource(theirs)


def test_pack_and_sidecar_prove_alike_that_they_have_the_secret() -> None:
    """
    What one of them proves the other one must believe.
    """
    assert inspect.getsource(comfy_nodes.pairing) == inspect.getsource(sidecar.pairing)


def test_pack_and_sidecar_lock_a_file_alike() -> None:
    """
    On Windows and elsewhere: half of it never runs where it is written.
    """
    ours, theirs = (
        inspect.getsource(module).rpartition('\nif sys.platform == "win32":')[2]
        for module in (comfy_nodes.locations, sidecar.sole_use)
    )

    assert ours
    assert ours == theirs


@pytest.mark.parametrize(
    "name",
    [
        "PAIRING_SECRET_FILE",
        "PAIRING_SECRET_BYTES",
        "PAIRING_SECRET_CHARACTERS",
        "SECRET_WAIT_S",
        "SECRET_LOOK_S",
    ],
)
def test_pack_and_sidecar_mean_the_same_by_it(name: str) -> None:
    """
    The names in those functions.
    """
    assert getattr(comfy_nodes.settings, name) == getattr(sidecar.settings, name)


def test_the_panel_asks_for_a_password_as_long_as_the_sidecar_wants() -> None:
    """
    Nobody is told of a length that is refused afterwards.
    """
    panel = (CHECKOUT / "web_extension" / "elements" / "account.js").read_text(encoding="utf-8")
    page = (CHECKOUT / "comfy_nodes" / "login_page" / "page.js").read_text(encoding="utf-8")

    assert f"PASSWORD_CHARACTERS = {SHORTEST}\n" in panel
    assert page.count(f" {SHORTEST} ") == 2  # in each language
