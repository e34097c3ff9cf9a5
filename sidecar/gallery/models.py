"""What is stored of an image."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.database import GUID, Base, DateTimeUTC

REASON_LENGTH = 400
NODE_ID_LENGTH = 200


class ImageState(str, Enum):
    EXPECTED = "expected"  #: ComfyUI says it wrote it; its bytes are not in our store yet
    KEPT = "kept"  #: the bytes are ours, whatever ComfyUI does with its file
    MISSING = "missing"  #: ComfyUI's file was gone before it could be kept
    CORRUPT = "corrupt"  #: the file is not an image that can be read; `reason` says why


class Image(Base):
    """One picture that a generation gave."""

    __tablename__ = "images"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    generation_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("generations.id"))
    owner_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("users.id"))
    node_id: Mapped[str] = mapped_column(String(NODE_ID_LENGTH))
    position: Mapped[int] = mapped_column(Integer)
    """The image's place among all images of its generation, from 0."""
    file: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """ComfyUI's reference: `filename`, `subfolder`, `type`; empty where ComfyUI gave none that can be used."""
    loose_file: Mapped[str | None] = mapped_column(String(64), default=None)
    """Where the file's folder does not say whose it is: by this it is found (`ownership.loose_name`)."""
    reported: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What *Save Image (Genonaut)* said of it; a hint that is checked, never believed."""

    state: Mapped[str] = mapped_column(String(16), default=ImageState.EXPECTED.value)
    is_withheld: Mapped[bool] = mapped_column(Boolean, default=False)
    """Nobody but administrators sees it: they look at it first, or have hidden it (`Generation.review`)."""
    reason: Mapped[str] = mapped_column(String(REASON_LENGTH), default="")
    """Why it is missing or corrupt: a sentence for its owner."""
    tries: Mapped[int] = mapped_column(Integer, default=0)
    """How often keeping it began and the process did not live to see the end."""

    storage_key: Mapped[str | None] = mapped_column(String(200), default=None)
    media_type: Mapped[str | None] = mapped_column(String(60), default=None)
    width: Mapped[int | None] = mapped_column(Integer, default=None)
    height: Mapped[int | None] = mapped_column(Integer, default=None)
    bytes: Mapped[int | None] = mapped_column(BigInteger, default=None)
    etag: Mapped[str | None] = mapped_column(String(64), default=None)
    """SHA-256 of the bytes, hexadecimal."""
    thumbhash: Mapped[str | None] = mapped_column(String(64), default=None)
    thumbnails: Mapped[dict[str, dict[str, Any]]] = mapped_column(JSON, default=dict)
    """Size -> `key`, `width`, `height`, `bytes`."""

    created_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    kept_at: Mapped[datetime | None] = mapped_column(DateTimeUTC(timezone=True), default=None)

    __table_args__ = (
        # Recording an outcome twice is impossible, whatever the code believes.
        UniqueConstraint("generation_id", "node_id", "position", name="uq_images_place"),
        # How much somebody's pictures take is one sum over this index alone.
        Index("ix_images_owner_bytes", "owner_id", "bytes"),
        Index(
            "ix_images_expected",
            "generation_id",
            sqlite_where=text("state = 'expected'"),
            postgresql_where=text("state = 'expected'"),
        ),
        Index(
            "ix_images_loose_file",
            "loose_file",
            sqlite_where=text("loose_file IS NOT NULL"),
            postgresql_where=text("loose_file IS NOT NULL"),
        ),
    )

    @property
    def temporary(self) -> bool:
        """Did ComfyUI write it to its temp folder (a node such as *Preview Image*)?"""
        return self.file.get("type") == "temp"
