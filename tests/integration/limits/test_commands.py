"""Limits at a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.cli import EXIT_UNUSABLE, main


@pytest.fixture
def told(tmp_path: Path, backend: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """What a command answers."""
    for name, value in {"GENONAUT_DATA": str(tmp_path), "GENONAUT_ACCESS": "accounts", **backend}.items():
        monkeypatch.setenv(name, value)

    def tell(*command: str) -> str:
        assert main(list(command)) in (0, EXIT_UNUSABLE)
        output = capsys.readouterr()
        return output.out + output.err

    return tell


def test_plans_are_kept_at_a_terminal(told):
    """Whether a sidecar runs or not."""
    counted = [line.split() for line in told("plan", "list").splitlines()]
    assert [(people, name) for people, _, name, _title in counted] == [
        ("0", "free"),
        ("0", "premium"),
        ("0", "standard"),
        ("1", "unlimited"),
    ]
    assert "  generations_per_day   500\n  gpu_seconds_per_day   none\n" in told(
        "plan", "set", "free", "generations_per_day=500", "gpu_seconds_per_day=none"
    )
    assert "weight                1.5" in told("plan", "create", "class", "--like", "free", "weight=1.5")
    assert "There is a plan of this name already" in told("plan", "create", "class", "weight=1")
    assert "weight: Must be at least 0.01. pages: There is no such limit. There are: generations_per_hour," in told(
        "plan", "set", "free", "weight=0", "pages=3"
    )
    assert (
        "generations_per_hour: Must be a whole number or none, not text. over_limit: Must be reject or wait."
        in told("plan", "set", "free", "generations_per_hour=ten", "over_limit=Wait")
    )
    assert "There is no plan 'fre'. These are there: class, free," in told("plan", "show", "fre")
    assert "write limit=value" in told("plan", "set", "free", "weight")
    assert "name: Only small letters, digits, - and _." in told("plan", "create", "A Class", "weight=1")
    told("user", "add", "Ada", "--no-password", "--plan", "class")
    assert "1 person has this plan" in told("plan", "delete", "class")
    told("user", "plan", "Ada", "free")
    assert told("plan", "delete", "class") == "There is no plan class any more.\n"
    assert "There is no plan 'class'. These are there: free, premium, standard, unlimited." in told(
        "user", "plan", "Ada", "class"
    )


def test_whoever_asks_without_the_sidecars_access_is_told_so(told, monkeypatch: pytest.MonkeyPatch):
    """A terminal does not have what ComfyUI was started with; open access would be taken for it without a word."""
    told("user", "add", "Ada", "--no-password", "--plan", "free")
    monkeypatch.delenv("GENONAUT_ACCESS")
    shown = told("quota", "show", "Ada").splitlines()

    assert shown[0] == "Ada: plan unlimited"
    assert "with accounts it is free (set GENONAUT_ACCESS" in shown[1]


def test_what_holds_for_somebody_is_kept_at_a_terminal(told):
    """With until when and why."""
    told("user", "add", "Ada", "--no-password", "--plan", "free")
    made = told(
        "quota", "override", "Ada", "steps_at_most=none", "--until", "2099-12-24T18:00+00:00", "--reason", "exhibition"
    )
    assert made == "instead, until 2099-12-24 18:00 UTC: steps_at_most=none (exhibition)\n"
    assert "until it is taken back: weight=2.0" in told("quota", "override", "Ada", "weight=2")
    told("group", "create", "Class 7b", "generations_per_day=500")
    told("group", "add", "Class 7b", "Ada")
    shown = told("quota", "show", "ada").splitlines()
    assert shown[0] == "Ada: plan free"
    assert not [line for line in shown if "steps_at_most  " in line]
    assert {"  generations_per_hour  0 of 10", "  pixels_at_most        2097152"} <= set(shown)
    assert shown[-3:] == [
        "  generations_per_day   0 of 500  (group Class 7b)",
        made.strip(),
        "instead, until it is taken back: weight=2.0",
    ]
    assert told("quota", "clear", "Ada") == "Taken back: 2. For Ada the plan free says what holds.\n"
    assert "There is nobody called Bob" in told("quota", "show", "Bob")


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (("--days", "0"), "'0' is no number of days"),
        (("--days", "a week"), "'a week' is no number of days"),
        (("--until", "tomorrow"), "'tomorrow' is no date: write it as 2026-12-24"),
    ],
)
def test_an_end_that_is_none_is_told_with_how_to_write_one(capsys: pytest.CaptureFixture[str], said, heard):
    """At two in the morning `invalid moment value` helps nobody."""
    with pytest.raises(SystemExit):
        main(["quota", "override", "Ada", "weight=2", *said])

    assert heard in capsys.readouterr().err


def test_groups_are_kept_at_a_terminal(told):
    """By their names."""
    for name in ("Ada", "Bob"):
        told("user", "add", name, "--no-password")
    assert told("group", "list") == "There is no group yet.\n"
    assert told("group", "create", "Chess", "storage_bytes=none") == "Chess: no limit\n"
    assert told("group", "add", "chess", "Bob", "Ada") == "Chess: no limit\n  Ada\n  Bob\n"
    assert told("group", "set", "Chess", "storage_bytes=1000") == "Chess: storage_bytes=1000\n"
    assert "There is no such limit" in told("group", "set", "Chess", "weight=2")
    assert told("group", "remove", "Chess", "Bob") == "Chess: storage_bytes=1000\n  Ada\n"
    assert told("group", "list") == "    1 person  Chess: storage_bytes=1000\n"
    assert "There is nobody called Cy" in told("group", "add", "Chess", "Cy")
    assert told("group", "delete", "Chess") == "There is no group Chess any more.\n"
    assert "There is no group called Chess" in told("group", "show", "Chess")


def test_the_first_administrator_is_not_limited(told, monkeypatch: pytest.MonkeyPatch):
    """Until they have seen to the limits themselves; everybody else begins as the setting says."""
    monkeypatch.setenv("GENONAUT_DEFAULT_PLAN", "free")
    for name, role in (("Root", "admin"), ("Grace", "admin"), ("Ada", "member")):
        told("user", "add", name, "--role", role, "--no-password")
    plans = [told("quota", "show", name).splitlines()[0] for name in ("Root", "Grace", "Ada")]

    assert plans == ["Root: plan unlimited", "Grace: plan free", "Ada: plan free"]
