"""People."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.database import GUID, Base, DateTimeUTC

LOCAL_OWNER_ID = UUID("00000000-0000-7000-8000-000000000001")
"""Whose everything is in `open` access. The first migration writes this row."""


class User(Base):
    """A person; in `open` access only the local owner."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
