"""A scripted twin of the sidecar's HTTP about what somebody may make and has made."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]

UNITS = {
    "gpu_seconds_per_day": "gpu_seconds",
    "storage_bytes": "bytes",
    "pixels_at_most": "pixels",
    "batch_at_most": "images",
    "steps_at_most": "steps",
    "frames_at_most": "frames",
}
WINDOWS_S = {"generations_per_hour": 3600, "generations_per_day": 86_400, "gpu_seconds_per_day": 86_400}


def limit(name: str, used: float | None, allowed: float, *, group: str | None = None, **facts: Any) -> Json:
    """One as `GET /quota` has it. `free_in_s`, `refills_in_s`: in how many seconds there is room, and all is free."""
    free_in_s, refills_in_s = facts.pop("free_in_s", None), facts.pop("refills_in_s", None)
    return {
        "name": name,
        "used": used,
        "allowed": allowed,
        "unit": UNITS.get(name, "generations"),
        "window_s": WINDOWS_S.get(name),
        "refills_at": None if refills_in_s is None else in_seconds(refills_in_s),
        "next_free_at": None if free_in_s is None else in_seconds(free_in_s),
        "group": group,
    }


def in_seconds(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def warning(limit: Json, percent: int) -> Json:
    facts = {name: limit[name] for name in ("group", "used", "allowed")}
    return {"limit": limit["name"], "percent": percent, **facts}


@dataclass
class ScriptedQuota:
    """Nothing is limited, as long as nobody says otherwise."""

    plan: str = "unlimited"
    over_limit: str = "wait"
    limits: list[Json] = field(default_factory=list)
    generations_of_days: list[int] = field(default_factory=list)
    """The last one is today's."""
    usage_is_broken: bool = False

    def view(self, waiting: int) -> Json:
        whole = {"plan": self.plan, "over_limit": self.over_limit, "limits": self.limits}
        return {**whole, "waiting": {"count": waiting, "held_until": None, "reason": None, "why": None}}

    def usage(self) -> Json:
        today = datetime.now(timezone.utc).date()
        items = [
            {
                "key": str(today - timedelta(days=days_ago)),
                "submitted": count,
                "generations": count,
                "gpu_seconds": 4.2 * count,
            }
            for days_ago, count in enumerate(reversed(self.generations_of_days))
            if count
        ]
        return {"begins_at": in_seconds(0), "ends_at": in_seconds(0), "by": "day", "items": items}
