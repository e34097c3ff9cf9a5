"""
Why a generation waits: a code and facts for programs and other languages, and the sentence that follows from them.

What is stored, and told, is the code with its facts; whoever shows it in English has `sentence`. Facts are numbers,
names and moments, never words to read out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct, field
from sqlalchemy import JSON, Dialect, TypeDecorator

from sidecar.limits.sentences import allowance

Code = Literal[
    "paused",
    "limit",
    "behind_own",
    "running_at_once",
    "no_instance_with",
    "no_instance",
    "waiting_for_retry",
    "next",
    "turns",
]
InstanceState = Literal["paused", "draining", "away", "set_aside", "returning"]

NAMED_AT_MOST = 5
NAME_CHARACTERS = 200
SENTENCE_CHARACTERS = 400

HOW = {"set_aside": "set aside", "returning": "about to work again"}
"""What an instance's state is called where its name does not say it."""


class Reason(Struct, frozen=True):
    """Why it waits. Which facts belong to which code stands in the README, below *Turns*."""

    code: Code
    facts: dict[str, Any] = field(default_factory=dict)


class ReasonColumn(TypeDecorator[Reason]):
    """A reason, in JSON."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Reason | None, dialect: Dialect) -> Any:
        return None if value is None else msgspec.to_builtins(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Reason | None:
        return None if value is None else Reason(value["code"], value["facts"])


NEXT = Reason("next")
BEHIND_OWN = Reason("behind_own")
NO_INSTANCE = Reason("no_instance")
WAITING_FOR_RETRY = Reason("waiting_for_retry")


def paused(reason: str) -> Reason:
    return Reason("paused", {"reason": reason})


def limit(name: str, *, used: float, allowed: int, group: str | None, free_at: datetime) -> Reason:
    """
    A limit holds it back.

    Args:
        used: When that was looked at, in the limit's own measure.
        group: Whose limit it is; None: one's own.
    """
    moment = msgspec.to_builtins(free_at)
    return Reason("limit", {"limit": name, "used": used, "allowed": allowed, "group": group, "free_at": moment})


def running_at_once(allowed: int) -> Reason:
    return Reason("running_at_once", {"allowed": allowed})


def turns(own: int, others: int, people: int) -> Reason:
    """So many run before it."""
    return Reason("turns", {"own": own, "others": others, "people": people})


def no_instance_with(
    models: Sequence[str], nodes: Sequence[str], waits_for: Sequence[tuple[str | None, InstanceState]]
) -> Reason:
    """
    No instance that can work now has all of this.

    Args:
        waits_for: Those that have, by their names if they were given any, and why they cannot work now.
    """
    holders = [{"name": name, "state": state} for name, state in waits_for[:NAMED_AT_MOST]]
    return Reason("no_instance_with", {"models": told(models), "nodes": told(nodes), "waits_for": holders})


def told(names: Sequence[str]) -> list[str]:
    return [name[:NAME_CHARACTERS] for name in names[:NAMED_AT_MOST]]


def sentence(reason: Reason) -> str:
    """The same in English, for people."""
    said = SENTENCES[reason.code]
    return (said if isinstance(said, str) else said(reason.facts))[:SENTENCE_CHARACTERS]


def of_paused(facts: Mapping[str, Any]) -> str:
    return f"The queue is paused: {facts['reason']}" if facts["reason"] else "The queue is paused."


def of_limit(facts: Mapping[str, Any]) -> str:
    """When that is over stands beside it, where it stays true while time goes by."""
    allowed = allowance(facts["limit"], facts["allowed"], facts["group"])
    return f"{allowed}, and there is no room for it yet. It waits until there is."


def of_no_instance_with(facts: Mapping[str, Any]) -> str:
    needed = [*facts["models"], *(f"the node {name}" for name in facts["nodes"])]
    holders = [f"{one['name'] or 'a ComfyUI'} ({HOW.get(one['state'], one['state'])})" for one in facts["waits_for"]]
    waits = f"for {' or '.join(holders)}" if holders else "until one has"
    return f"No ComfyUI that can work now has {' and '.join(needed)}. It waits {waits}."


def of_turns(facts: Mapping[str, Any]) -> str:
    own = f"{facts['own']} of your own" if facts["own"] else ""
    people = "another person" if facts["people"] == 1 else f"{facts['people']} other people"
    others = f"{facts['others']} of {people}" if facts["others"] else ""
    return f"Turns are shared: {' and '.join(filter(None, (own, others)))} will run before it."


SENTENCES: Mapping[Code, str | Callable[[Mapping[str, Any]], str]] = {
    "paused": of_paused,
    "limit": of_limit,
    "behind_own": "It waits behind others of yours that a limit holds back.",
    "running_at_once": "As many of yours run as may run at once. It goes as soon as one of them has ended.",
    "no_instance_with": of_no_instance_with,
    "no_instance": "No ComfyUI can work now. It waits until one can.",
    "waiting_for_retry": "It waits a moment before it is tried again.",
    "next": "It is next: it goes as soon as a ComfyUI is free for it.",
    "turns": of_turns,
}
