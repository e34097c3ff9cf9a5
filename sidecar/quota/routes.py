"""HTTP: what somebody has used and may still, and everybody's usage for administrators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from sidecar.accounts.callers import Caller
from sidecar.accounts.guards import requires_admin, requires_read
from sidecar.clients import client_of
from sidecar.database import Database
from sidecar.quota.accuracy import accuracy
from sidecar.quota.export import written
from sidecar.quota.quotas import Quotas
from sidecar.quota.schemas import AccuracyList, By, QuotaView, UsageView
from sidecar.quota.usage import Period, Usage

Owner = NamedDependency[UUID]
Since = Annotated[datetime | None, QueryParameter(name="from", description="Counted then or later.")]
Until = Annotated[datetime | None, QueryParameter(name="to", description="Counted earlier.")]
Each = Annotated[By, QueryParameter(description="What each row is about.")]
Whose = Annotated[Literal["person", "group"], QueryParameter(description="Whose usage each row is.")]

CSV = "text/csv"
USED = ("submitted", "generations", "gpu_seconds")


@get("/quota", guards=[requires_read])
async def show_quota(request: Request[Caller, Any, Any], quotas: NamedDependency[Quotas], owner_id: Owner) -> QuotaView:
    """
    What holds for me now, and how much of it is used.

    Limits that there are not are left out. `next_free_at` says when there is room again where there is none.
    """
    return await quotas.of_caller(owner_id, client_of(request).address)


@get("/usage", guards=[requires_read])
async def show_usage(
    request: Request[Caller, Any, Any],
    usage: NamedDependency[Usage],
    owner_id: Owner,
    since: Since = None,
    until: Until = None,
    by: Each = "day",
) -> UsageView:
    """
    What I used, by day, by checkpoint or by how it ended.

    Of the last thirty days where nothing is said, of a year at most. The latest day, or the longest time, comes first.
    """
    return await usage.of_caller(owner_id, client_of(request).address, Period.between(since, until), by)


@get("/admin/users/{user_id:uuid}/quota", guards=[requires_admin])
async def show_quota_of(quotas: NamedDependency[Quotas], user_id: FromPath[UUID]) -> QuotaView:
    """What holds for somebody now, and how much of it is used."""
    return await quotas.of_user(user_id)


@get(
    "/admin/usage.csv",
    guards=[requires_admin],
    media_type=CSV,
    response_description="A line for each, by name, below one that says what stands where.",
)
async def export_usage(
    usage: NamedDependency[Usage], since: Since = None, until: Until = None, by: Whose = "person"
) -> Stream:
    """What everybody, or every group, used: a file for spreadsheets (RFC 4180)."""
    period = Period.between(since, until)
    third, rows = ("plan", usage.of_people(period)) if by == "person" else ("members", usage.of_groups(period))
    return Stream(
        written((by, "id", third, *USED), rows),
        media_type=CSV,
        headers={
            "Content-Disposition": f'attachment; filename="usage-by-{by}.csv"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


@get("/admin/estimates", guards=[requires_admin])
async def show_accuracy(database: NamedDependency[Database]) -> AccuracyList:
    """How right the estimates of the last seven days were, by checkpoint and instance."""
    return await accuracy(database)


ROUTES: list[Any] = [show_accuracy, show_quota, show_usage, show_quota_of, export_usage]
