"""
What is tried again, how often, and after how long.

Tried again is what may pass: a ComfyUI that is away, slow, broken, or that died with the prompt in its hands. What
would fail again in the same way fails at once. A try is spent only where something was tried: that nobody was there,
or that the prompt only waited in a ComfyUI that died, costs none.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidecar.errors import ComfyUIBroken, ComfyUITimeout, ComfyUIUnreachable, GenonautError, TermIsOver

TRIES_AT_MOST = 3
FIRST_WAIT_S = 4.0
LONGEST_WAIT_S = 60.0

jitter = random.random


@dataclass(frozen=True)
class Rule:
    """What a failure to hand a prompt to ComfyUI means."""

    may_pass: bool
    spends_a_try: bool


NEVER_AGAIN = Rule(may_pass=False, spends_a_try=True)
RULES: dict[type[GenonautError], Rule] = {
    ComfyUIUnreachable: Rule(may_pass=True, spends_a_try=False),
    TermIsOver: Rule(may_pass=True, spends_a_try=False),
    ComfyUITimeout: Rule(may_pass=True, spends_a_try=True),
    ComfyUIBroken: Rule(may_pass=True, spends_a_try=True),
}


def rule_for(failure: GenonautError) -> Rule:
    return RULES.get(type(failure), NEVER_AGAIN)


def next_try(*, tries: int, at: datetime) -> datetime:
    """
    Exponential backoff with full jitter: any moment up to a bound that doubles with each try that was spent.

    Without the jitter all that a ComfyUI dropped at one moment would come back to it at one moment.
    """
    bound_s = min(FIRST_WAIT_S * 2 ** max(tries - 1, 0), LONGEST_WAIT_S)
    return at + timedelta(seconds=jitter() * bound_s)
