"""Whose settings and saved workflows ComfyUI works with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fakes.knowing_sidecar import id_of, person

from comfy_nodes.caller import ANONYMOUS, LOCAL_OWNER, Caller, calling, read_caller
from comfy_nodes.user_folders import own_folder, tell_users

SAID_IN_A_HEADER = "said in a header"


def whose_folder(caller: Caller | None) -> str:
    with calling(caller):
        return own_folder(lambda request: SAID_IN_A_HEADER)(object())


def test_everybody_has_a_folder_of_their_own_whatever_the_browser_says() -> None:
    """By id; in open access it stays ComfyUI's business."""
    assert whose_folder(read_caller(person("ada"))) == id_of("ada")
    assert whose_folder(LOCAL_OWNER) == SAID_IN_A_HEADER
    assert whose_folder(None) == SAID_IN_A_HEADER


def test_who_was_alone_before_finds_their_workflows_again() -> None:
    """The first administrator takes over what was the local owner's, in ComfyUI's folder for its only user."""
    first = replace(read_caller(person("root", "admin")), user_id=LOCAL_OWNER.user_id)

    assert whose_folder(first) == "default"


def test_who_has_not_logged_in_has_none() -> None:
    """ComfyUI's handlers take that for an unknown user."""
    with pytest.raises(KeyError):
        whose_folder(ANONYMOUS)


async def test_nobody_is_told_who_else_there_is() -> None:
    """ComfyUI's page offers no choice of people then."""
    answer: Any = await tell_users(None)  # type: ignore[arg-type] # it looks at nothing

    assert json.loads(answer.body) == {"storage": "server", "migrated": True}
