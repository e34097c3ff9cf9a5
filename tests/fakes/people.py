"""People for the tests, as their rows are."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sidecar.accounts.models import User
from sidecar.identity import now


def somebody(user_id: UUID, **said: Any) -> User:
    """A member whom nothing is known of but what is said."""
    at = now()
    known = {"name": str(user_id), "comparable_name": str(user_id), "role": "member", "plan": "standard"}
    return User(**{"id": user_id, **known, "created_at": at, "credentials_changed_at": at, **said})
