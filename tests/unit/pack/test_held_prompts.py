"""The list of what the sidecar holds."""

from __future__ import annotations

import pytest

from comfy_nodes import held_prompts
from comfy_nodes.held_prompts import HeldPrompt, HeldPrompts


def prompt(name: str) -> HeldPrompt:
    return HeldPrompt(name, 1, None, 0)


def ids(held: HeldPrompts) -> list[str]:
    return [one.prompt_id for one in held.now()]


def test_what_the_gate_added_survives_a_list_that_is_a_moment_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """For five seconds; after that the sidecar's list is the truth."""
    held = HeldPrompts()
    held.add(prompt("new"))
    held.replace([prompt("old")], 1)
    before = ids(held)
    monkeypatch.setattr(held_prompts, "OWN_ENTRY_SURVIVES_S", 0)

    assert before == ["old", "new"]
    assert ids(held) == ["old"]


def test_what_was_deleted_does_not_come_back_with_an_old_list() -> None:
    """The sidecar may have written its list before it heard of it."""
    held = HeldPrompts()
    held.replace([prompt("a"), prompt("b")], 2)
    held.remove("a")
    held.replace([prompt("a"), prompt("b")], 2)

    assert ids(held) == ["b"]


def test_what_could_not_be_cancelled_is_shown_again() -> None:
    """The sidecar was away, so it still holds it."""
    held = HeldPrompts()
    held.add(prompt("a"))
    held.remove("a")
    held.restore(prompt("a"))

    assert ids(held) == ["a"]


def test_what_the_list_is_too_short_for_is_counted() -> None:
    """The page shows how many wait, not how many fit into a message."""
    held = HeldPrompts()
    held.replace([prompt("a"), prompt("b")], 5000)

    assert held.count() == 5000
    assert held.count({"a"}) == 4999
