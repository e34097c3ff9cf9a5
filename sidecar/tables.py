"""Every table, in one place: whoever needs the whole of the metadata imports this."""

from __future__ import annotations

from sidecar.accounts.models import ApiToken, AuditEntry, Invite, KnownAddress, LogInFailures, User, UserSession
from sidecar.catalog.models import CatalogVersion, Listing, Model, ModelInstance
from sidecar.counters import Counter
from sidecar.database import Base
from sidecar.gallery.models import Image
from sidecar.generations.models import (
    Generation,
    GenerationEvent,
    IdempotencyKey,
    JournalPosition,
    SearchEntry,
    SearchWord,
    Workflow,
)
from sidecar.generations.pausing import QueuePause
from sidecar.generations.shares import Share
from sidecar.generations.stopping import Stop
from sidecar.instances.models import Instance, Pace
from sidecar.limits.ledger import UsageEntry
from sidecar.limits.models import Group, GroupMember, Plan, PlanOverride
from sidecar.limits.persons import AddressSalt
from sidecar.rules.models import Rule, RuleHit

__all__ = [
    "AddressSalt",
    "ApiToken",
    "AuditEntry",
    "Base",
    "CatalogVersion",
    "Counter",
    "Generation",
    "GenerationEvent",
    "Group",
    "GroupMember",
    "IdempotencyKey",
    "Image",
    "Instance",
    "Invite",
    "JournalPosition",
    "KnownAddress",
    "Listing",
    "LogInFailures",
    "Model",
    "ModelInstance",
    "Pace",
    "Plan",
    "PlanOverride",
    "QueuePause",
    "Rule",
    "RuleHit",
    "SearchEntry",
    "SearchWord",
    "Share",
    "Stop",
    "UsageEntry",
    "User",
    "UserSession",
    "Workflow",
]
