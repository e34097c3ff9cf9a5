"""Why something waits, in a sentence that follows from a code and facts."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import get_args

import msgspec
import pytest

from sidecar.limits import reasons
from sidecar.limits.reasons import Code, Reason, sentence

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
HELD = reasons.limit("gpu_seconds_per_day", used=51, allowed=60, group="3b", free_at=NOON)
EVERY_ONE = [
    (reasons.paused("We change the disks."), "The queue is paused: We change the disks."),
    (reasons.paused(""), "The queue is paused."),
    (HELD, "The group 3b may use 60 GPU seconds a day, and there is no room for it yet. It waits until there is."),
    (reasons.BEHIND_OWN, "It waits behind others of yours that a limit holds back."),
    (
        reasons.running_at_once(2),
        "As many of yours run as may run at once. It goes as soon as one of them has ended.",
    ),
    (
        reasons.no_instance_with(["a.safetensors"], ["Upscaler"], [("upstairs", "paused"), (None, "set_aside")]),
        (
            "No ComfyUI that can work now has a.safetensors and the node Upscaler. "
            "It waits for upstairs (paused) or a ComfyUI (set aside)."
        ),
    ),
    (
        reasons.no_instance_with(["a.safetensors"], [], []),
        "No ComfyUI that can work now has a.safetensors. It waits until one has.",
    ),
    (reasons.NO_INSTANCE, "No ComfyUI can work now. It waits until one can."),
    (reasons.WAITING_FOR_RETRY, "It waits a moment before it is tried again."),
    (reasons.NEXT, "It is next: it goes as soon as a ComfyUI is free for it."),
    (
        reasons.turns(1, 4, 2),
        "Turns are shared: 1 of your own and 4 of 2 other people will run before it.",
    ),
    (reasons.turns(0, 1, 1), "Turns are shared: 1 of another person will run before it."),
]


@pytest.mark.parametrize(("reason", "words"), EVERY_ONE, ids=lambda one: getattr(one, "code", ""))
def test_the_sentence_follows_from_the_facts(reason: Reason, words: str):
    """Also when they have been stored and read again."""
    read = msgspec.json.decode(msgspec.json.encode(reason), type=Reason)

    assert sentence(read) == words
    assert read == reason


def test_every_code_has_a_sentence():
    """None of them stays without words."""
    assert {reason.code for reason, _ in EVERY_ONE} == set(get_args(Code))


def test_what_names_very_much_stays_short():
    """A workflow may need a thousand LoRAs, of which each has a long name."""
    reason = reasons.no_instance_with(["x" * 1000] * 1000, [], [("y", "away")] * 1000)

    assert len(msgspec.json.encode(reason)) < 2000
    assert len(sentence(reason)) <= 400
