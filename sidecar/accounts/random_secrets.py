"""
Secrets that are drawn, not chosen: of sessions, tokens and invites.

They are 256 random bits, so nobody guesses one, and a quick hash of it is as good as a slow one. Only that is stored.
"""

from __future__ import annotations

import hashlib
import secrets

SECRET_BYTES = 32
TOKEN_PREFIX = "gno_"  # noqa: S105 - by which people and scanners know what they have found


def new_secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def new_token() -> str:
    return TOKEN_PREFIX + new_secret()


def hash_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
