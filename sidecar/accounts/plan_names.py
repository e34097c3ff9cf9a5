"""People have a plan by its name. What it says is `limits`' to know; here it is enough that there is one."""

from __future__ import annotations

from sqlalchemy import String, column, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.errors import PlanUnknown

PLANS = table("plans", column("name", String))


async def require_plan(session: AsyncSession, name: str) -> None:
    """
    Raises:
        PlanUnknown: There is none of this name.
    """
    if await session.scalar(select(PLANS.c.name).where(PLANS.c.name == name)) is None:
        names = sorted(await session.scalars(select(PLANS.c.name)))
        message = f"There is no plan {name!r}. These are there: {', '.join(names)}."
        raise PlanUnknown(message, errors=({"field": "plan", "code": "choice_unknown", "message": message},))
