"""How an instance looks to an admin."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

Wish = Literal["active", "draining", "paused"]
Name = Annotated[str, Meta(min_length=1, max_length=100, description="What people call it.")]
Url = Annotated[str, Meta(min_length=1, max_length=400, pattern=r"^https?://[^\s/?#]+[^\s?#]*$")]


class NewInstance(Struct, forbid_unknown_fields=True):
    """A ComfyUI to be registered."""

    url: Url
    name: Name | UnsetType = UNSET
    wanted: Wish = "active"


class InstancePatch(Struct, forbid_unknown_fields=True):
    """What shall be different."""

    name: Name | UnsetType = UNSET
    wanted: Wish | UnsetType = UNSET


class QueuePatch(Struct, forbid_unknown_fields=True):
    """What shall be different of the queue; what is left out stays as it is."""

    paused: bool | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=400, description="Told to everybody who waits.")] | UnsetType = UNSET


class QueueView(Struct):
    """The whole queue. Times are RFC 3339 in UTC."""

    paused: bool
    """Everything is taken in, and nothing goes to any ComfyUI."""
    reason: str
    """Why it is paused: a sentence for everybody who waits."""
    since: datetime | None
    """Since when it is paused."""
    waiting: int
    """How many generations are held."""
    in_flight: int
    """How many the ComfyUIs have: none, when a paused queue has drained."""


class InstanceFailure(Struct):
    """One failure of an instance."""

    at: datetime
    code: str
    reason: str
    generation_id: UUID


class InstanceView(Struct):
    """One ComfyUI. Times are RFC 3339 in UTC."""

    id: UUID
    name: str
    url: str
    wanted: Wish
    from_settings: bool
    """`GENONAUT_COMFYUI_URL` names it: it stays for as long as it does."""
    state: Literal["connected", "away"]
    since: datetime
    reason: str
    """Why it is away."""
    comfyui_version: str
    pack_version: str | None
    """None where it has no pack."""
    devices: list[dict[str, Any]]
    checkpoint: str
    """The last one that was sent there: probably the one that it has loaded."""
    in_flight: int
    failures: int
    """How often in a row it failed."""
    set_aside_at: datetime | None
    rests_until: datetime | None
    """It gets nothing before; one that is set aside is probed then."""
    evidence: list[InstanceFailure]
    """The latest failures, newest first."""
    created_at: datetime


class InstanceList(Struct):
    """Every instance, oldest first."""

    items: list[InstanceView]
