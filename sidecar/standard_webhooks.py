"""Signing what is posted to others, as https://www.standardwebhooks.com says: they see who has sent it, and when."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Mapping

from sidecar.identity import uuid7

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)


def read_key(secret: str) -> bytes:
    """
    The key that a secret such as ``whsec_...`` is written for.

    Raises:
        ValueError: It is no such secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as exc:
        raise ValueError("it is not base64") from exc
    if len(key) not in KEY_BYTES:
        raise ValueError(f"it has {len(key)} bytes, not 24 to 64")
    return key


def signed(key: bytes, body: bytes) -> Mapping[str, str]:
    """The headers that prove a body, each time others."""
    message_id, at = f"msg_{uuid7().hex}", int(time.time())
    proof = hmac.digest(key, f"{message_id}.{at}.".encode() + body, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(proof).decode('ascii')}",
    }
