"""What is stored of models, and of the ComfyUIs that have them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sidecar.comfyui.model_names import MAX_NAME_CHARACTERS
from sidecar.database import GUID, Base, DateTimeUTC


class Model(Base):
    """A model file that some ComfyUI has or had. Never deleted: what was made with it still says so."""

    __tablename__ = "models"

    id: Mapped[UUID] = mapped_column(GUID, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(MAX_NAME_CHARACTERS))
    """As the ComfyUI lists it that had it first."""
    comparable_name: Mapped[str] = mapped_column(String(MAX_NAME_CHARACTERS))
    """With `/` between folders, whatever the operating system: by this it is one model on several instances."""
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    """False: an administrator has switched it off, and nobody may ask for it."""
    first_seen: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))
    last_seen: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))

    __table_args__ = (UniqueConstraint("kind", "comparable_name", name="uq_models_kind_name"),)


class ModelInstance(Base):
    """An instance has a model."""

    __tablename__ = "model_instances"

    model_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("models.id"), primary_key=True)
    instance_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("instances.id"), primary_key=True, index=True)
    name: Mapped[str] = mapped_column(String(MAX_NAME_CHARACTERS))
    """As this instance lists it."""


class Listing(Base):
    """What else an instance told of itself when it was last asked for its models."""

    __tablename__ = "listings"

    instance_id: Mapped[UUID] = mapped_column(GUID, ForeignKey("instances.id"), primary_key=True)
    inputs: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """`model_lists.Inputs`: which inputs of which nodes choose a model."""
    samplers: Mapped[list[str]] = mapped_column(JSON, default=list)
    schedulers: Mapped[list[str]] = mapped_column(JSON, default=list)
    node_classes: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Every node that it knows."""
    listed_at: Mapped[datetime] = mapped_column(DateTimeUTC(timezone=True))


class CatalogVersion(Base):
    """One row, counted up by every change of the tables above, so that other processes notice."""

    __tablename__ = "catalog_version"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
