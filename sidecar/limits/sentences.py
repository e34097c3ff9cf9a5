"""What people read when a limit is reached: which one, how much of it is used, and when there is room again."""

from __future__ import annotations

from datetime import timedelta

from sidecar.limits.windows import MS, Claim

MEASURES = {
    "generations_per_hour": ("generation", "an hour"),
    "generations_per_day": ("generation", "a day"),
    "gpu_seconds_per_day": ("GPU second", "a day"),
}
"""What each limit is counted in, and for how long."""

UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
EXACT_UP_TO = 2  # 90 minutes says more than 2 hours


def used_up(claim: Claim, used: int, *, to_come: int = 0, group: str | None, room_in: timedelta | None) -> str:
    """
    Args:
        to_come: What waits for its moment already, and will have that room before.
        group: Whose limit it is; None: one's own plan's.
        room_in: After what time there is room; None: never.
    """
    size = claim.window.size
    allowed = allowance(claim.window.limit, claim.window.allowed // size, group)
    if room_in is None:
        return f"{allowed}. Ask an administrator for another plan."
    used, to_come = rounded_up(used, size), rounded_up(to_come, size)
    state = f"{used} {'is' if used == 1 else 'are'} used"
    if to_come:
        state += f" and {to_come} more {'waits' if to_come == 1 else 'wait'} for room"
    when = f"in {in_words(room_in)}; submit it again then."
    if claim.window.unit == "generations":
        return f"{allowed}, and {state}. The next one is free {when}"
    return f"{allowed}; {state}, and this needs about {rounded_up(claim.amount, size)}. There is room for it {when}"


def allowance(limit: str, allowed: int, group: str | None) -> str:
    """
    Args:
        group: Whose limit it is; None: one's own plan's.
    """
    thing, period = MEASURES[limit]
    whose = f"The group {group} may use" if group else "Your plan allows"
    return f"{whose} {counted(allowed, thing)} {period}"


def room_full(waiting: int, allowed: int) -> str:
    return (
        f"{waiting} of your generations wait already, and your plan lets {allowed} wait. "
        "Submit it again when one of them has begun."
    )


def house_full(allowed: int) -> str:
    return f"{allowed} generations wait here already, and no more can. Submit it again later."


def storage_full(used_bytes: int, allowed_bytes: int, *, group: str | None) -> str:
    whose = f"The pictures of the group {group} take" if group else "Your pictures take"
    return (
        f"{whose} {in_gigabytes(used_bytes)} GB of the {in_gigabytes(allowed_bytes)} GB that are allowed. "
        "Delete what you do not need (there is room when it has left the trash), or ask an administrator for more."
    )


def in_words(duration: timedelta) -> str:
    """Rounded up, in the largest unit that does not hide much: 40 seconds, 90 minutes, 3 hours."""
    seconds = rounded_up(duration // timedelta(milliseconds=1), MS)
    length, unit = next((each for each in UNITS if seconds >= EXACT_UP_TO * each[0]), UNITS[-1])
    count = max(1, rounded_up(seconds, length))
    return counted(count, unit)


def counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def in_gigabytes(count: int) -> str:
    return f"{count / 1024**3:.1f}"


def rounded_up(amount: int, size: int) -> int:
    return -(-amount // size)
