"""How models look from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from sidecar.comfyui.model_lists import ModelKind


class ModelView(Struct):
    """
    One model. `instances` are the ComfyUIs that have it, for administrators; `available` is false when none of them has
    it any more.
    """

    id: UUID
    kind: ModelKind
    name: str
    active: bool
    available: bool
    instances: list[UUID]
    first_seen: datetime
    last_seen: datetime


class ModelPage(Struct):
    """One page of a list; `next_cursor` is None on the last one."""

    items: list[ModelView]
    next_cursor: str | None


class OptionsView(Struct):
    """What can be chosen besides models, in ComfyUI's own order."""

    samplers: list[str]
    schedulers: list[str]


class ModelChange(Struct, forbid_unknown_fields=True):
    """What an administrator may change."""

    active: bool


class InstanceRefreshed(Struct):
    """How asking one instance went."""

    id: UUID
    name: str
    state: Literal["listed", "away"]
    reason: str = ""
    """Why it could not be asked."""
    models: int = 0
    added: int = 0
    """Models that nobody had before."""
    vanished: int = 0
    """Models that this instance had and has no longer."""


class Refreshed(Struct):
    """How asking every instance went."""

    instances: list[InstanceRefreshed]
