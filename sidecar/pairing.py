"""
How pack and sidecar show each other that they have one secret, without showing the secret.

    question = pairing.ask("POST", "/prompt", body, whom=...)    who asks; `question.headers` go along
    question = pairing.check(shown, "POST", "/prompt")           who is asked; then the body: `question.is_about(body)`
    question.answer(200, body)                                   who is asked; goes back in ANSWER_HEADER
    question.is_answered_by(shown, 200, body)                    who asks, before anything of the answer is believed

A question's proof is an HMAC of everything that is asked, of whom and when, and of a text that is used once; an
answer's one of that proof, with all that is answered. So whoever listens where one of the two should be can neither
ask for anything else with what he hears, nor anybody else, nor a second time, nor answer.

This file stands twice, word for word: pack and sidecar may not import each other.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache

PAIRING_HEADER = "X-Genonaut-Pairing"
ANSWER_HEADER = "X-Genonaut-Pairing-Answer"

SIDECAR = "sidecar"
"""The name of every process of the sidecar, of whom any may answer. A ComfyUI's is its `Pairing.process`."""

WHOEVER = "whoever"
"""Is asked only for its name, by who does not know it yet."""

VALID_FOR_S = 300.0  # clocks of two machines may differ by as much
START_ALLOWANCE_S = 5.0  # and, for the first minutes of a process, by no more than this
LONGEST = 300
WHOLE, BEGUN = "whole", "begun"


class NotProven(Exception):
    """Who asks does not have our secret, or asks with a proof of something else, or for a second time."""


class PairingTrouble(Exception):
    """Who asks has our secret, and yet gets no answer. `question` proves to them that it is us who say so."""

    def __init__(self, message: str, question: Question) -> None:
        super().__init__(message)
        self.question = question


class Misdirected(PairingTrouble):
    """Somebody else is meant: another ComfyUI, or this one before it was started anew."""


class ClocksDiffer(PairingTrouble):
    """By their clock it was asked too long ago, or is still to be asked."""


@dataclass(frozen=True)
class Question:
    """Something that one of the two asks the other one."""

    secret: bytes = field(repr=False)
    made_at: str
    once: str
    whom: str
    body_hash: str
    proof: str

    @property
    def headers(self) -> dict[str, str]:
        return {PAIRING_HEADER: ".".join((self.made_at, self.once, self.whom, self.body_hash, self.proof))}

    def is_about(self, body: bytes) -> bool:
        """Is this the body that goes with it?"""
        return hmac.compare_digest(hash_of(body), self.body_hash)

    def answer(self, status: int, body: bytes | None) -> str:
        """Prove an answer. None: it is a stream or a file, and of these the beginning is proven."""
        return f"{WHOLE if body is not None else BEGUN}.{self._proof_of_answer(status, body)}"

    def is_answered_by(self, shown: str, status: int, body: bytes, *, a_beginning_will_do: bool = False) -> bool:
        """Does this come from whom was asked? A stream, of which only the beginning is proven, must be expected."""
        kind, _, proof = shown[:LONGEST].partition(".")
        if kind == BEGUN and not a_beginning_will_do:
            return False
        expected = self._proof_of_answer(status, None if kind == BEGUN else body)
        return hmac.compare_digest(as_bytes(proof), expected.encode())

    def _proof_of_answer(self, status: int, body: bytes | None) -> str:
        return sign(self.secret, "answer", self.proof, str(status), BEGUN if body is None else hash_of(body))


class Pairing:
    """One secret, and which questions were proven with it."""

    def __init__(self, secret: str) -> None:
        self.process = secrets.token_urlsafe(12)
        """By which name this process alone goes: what was asked of another one, or before, is not asked of it."""

        self._secret = secret.encode()
        self._began_at = time.time()
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, float] = OrderedDict()

    def ask(self, method: str, target: str, body: bytes = b"", *, whom: str) -> Question:
        """Prove a question. `target` is the path with the query, as it is sent; `whom` the name of who is asked."""
        made_at, once, body_hash = f"{time.time():.0f}", secrets.token_urlsafe(16), hash_of(body)
        proof = self._proof_of_question(made_at, once, whom, body_hash, method, target)
        return Question(self._secret, made_at, once, whom, body_hash, proof)

    def check(self, shown: str, method: str, target: str, *, names: Collection[str] = ()) -> Question:
        """
        Find out whether this was asked by who has our secret; whether with this body, `Question.is_about` says.

        Args:
            names: By which we go, besides this process' own.

        Raises:
            NotProven: It was not, or it is asked for a second time.
            Misdirected: It was, of somebody else.
            ClocksDiffer: It was, and the clocks do not say when.
        """
        parts = shown[:LONGEST].split(".")
        if len(parts) != len(("made_at", "once", "whom", "body_hash", "proof")):
            raise NotProven
        made_at, once, whom, body_hash, proof = parts
        expected = self._proof_of_question(made_at, once, whom, body_hash, method, target)
        if not hmac.compare_digest(as_bytes(proof), expected.encode()):
            raise NotProven
        question = Question(self._secret, made_at, once, whom, body_hash, proof)
        if whom != self.process and whom not in names:
            raise Misdirected("This was asked of another ComfyUI, or of this one before it was started anew.", question)
        self._check_time(question)
        if not self._is_first(once):
            raise NotProven
        return question

    def _check_time(self, question: Question) -> None:
        """What was asked of another process by the same name, its memory of that being gone, is not asked again."""
        made_at, now = float(question.made_at), time.time()
        is_from_before = question.whom != self.process and made_at < self._began_at - START_ALLOWANCE_S
        if is_from_before or abs(now - made_at) > VALID_FOR_S:
            raise ClocksDiffer(
                f"The clocks of ComfyUI's machine and of the sidecar's differ by {abs(now - made_at):.0f} seconds, so "
                "neither can tell what is asked now from what was asked before. Set both by a time server.",
                question,
            )

    def _proof_of_question(self, made_at: str, once: str, whom: str, body_hash: str, method: str, target: str) -> str:
        return sign(self._secret, "question", made_at, once, whom, body_hash, method.upper(), target)

    def _is_first(self, once: str) -> bool:
        now = time.monotonic()
        with self._lock:
            while self._seen and now - next(iter(self._seen.values())) > 2 * VALID_FOR_S:
                self._seen.popitem(last=False)
            if once in self._seen:
                return False
            self._seen[once] = now
            return True


@lru_cache(maxsize=8)
def pairing_of(secret: str) -> Pairing:
    """The one of this process: what was seen by one door was seen by all."""
    return Pairing(secret)


def target_of(path: str, query: str) -> str:
    """What is asked for, with the query as it stands in the address."""
    return f"{path}?{query}" if query else path


def hash_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def sign(secret: bytes, *said: str) -> str:
    return hmac.new(secret, as_bytes("\n".join(said)), "sha256").hexdigest()


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
