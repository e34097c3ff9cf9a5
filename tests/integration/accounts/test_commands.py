"""Accounts at a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from sidecar.cli import EXIT_UNUSABLE, main

from .conftest import ANOTHER, PASSWORD


def test_accounts_are_kept_at_a_terminal(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Whether a sidecar runs or not; passwords come from a pipe where nobody sits there."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def told(command: str, *, typed: str = "") -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed + "\n"))
        assert main(command.split()) in (0, EXIT_UNUSABLE)
        output = capsys.readouterr()
        return output.out + output.err

    assert told("user add Ada --role admin", typed=PASSWORD) == "admin   enabled   unlimited  Ada\n"
    assert "at least 15 characters" in told("user add Bob", typed="too short")
    assert told("user add Bob --no-password") == "member  enabled   standard   Bob\n"
    assert "called that already" in told("user add BOB --no-password")
    assert "last administrator" in told("user disable Ada")
    assert told("user disable Bob") == "member  disabled  standard   Bob\n"
    assert told("user enable bob") == "member  enabled   standard   Bob\n"
    assert told("user role Bob guest") == "guest   enabled   standard   Bob\n"
    assert told("user password Ada", typed=ANOTHER) == "admin   enabled   unlimited  Ada\n"
    assert told("user list") == "admin   enabled   unlimited  Ada\nguest   enabled   standard   Bob\n"
    assert told("token create Ada script --scope read --days 3").startswith("gno_")
    assert "Guests have no API tokens" in told("token create Bob script")
    [token_id, *rest] = told("token list Ada").split()
    assert rest[-2:] == ["read", "script"]
    assert "good for nothing" in told(f"token revoke Ada {token_id}")
    assert "There is no token" in told(f"token revoke Ada {token_id}")
    assert "/genonaut/login#invite=" in told("invite create --role guest --uses 3 --days 2")
    assert "There is nobody of this name" in told("user disable Cy")
