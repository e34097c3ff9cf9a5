"""
How pack and sidecar show each other that they have one secret, without showing the secret.

Whoever asks sends a proof along: when it was made, a number that is used once, and an HMAC of both with what is asked.
A listener who is not who he seems to be learns nothing that would be of use for anything else, or for a second time.

This file stands twice, word for word: pack and sidecar may not import each other.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from functools import lru_cache

PAIRING_HEADER = "X-Genonaut-Pairing"
VALID_FOR_S = 300.0  # clocks of two machines may differ by as much
LONGEST = 200


class Pairing:
    """One secret, and which proofs of it were seen."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, float] = OrderedDict()

    def headers(self, method: str, path: str) -> dict[str, str]:
        """What goes with a request. `path` is what is asked for, without a question mark and what follows it."""
        made_at, once = f"{time.time():.0f}", secrets.token_urlsafe(16)
        return {PAIRING_HEADER: f"{made_at}.{once}.{self._proof(made_at, once, method, path)}"}

    def is_proven(self, shown: str, method: str, path: str) -> bool:
        """Was this proof made with our secret, for this, a short while ago, and is it seen for the first time?"""
        made_at, once, proof = (*shown[:LONGEST].split("."), "", "", "")[:3]
        expected = self._proof(made_at, once, method, path)
        if not hmac.compare_digest(proof.encode("utf-8", "replace"), expected.encode()):
            return False
        return abs(time.time() - float(made_at)) <= VALID_FOR_S and self._is_first(once)

    def _proof(self, made_at: str, once: str, method: str, path: str) -> str:
        asked = "\n".join((made_at, once, method.upper(), path))
        return hmac.new(self._secret, asked.encode("utf-8", "replace"), "sha256").hexdigest()

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
