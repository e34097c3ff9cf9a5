"""What people read when a limit is reached: which one, how much of it is used, and when there is room again."""

from __future__ import annotations

from datetime import timedelta

from sidecar.limits.windows import DAY, HOUR, MS, Claim

PERIODS = {HOUR: "an hour", DAY: "a day"}
UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
EXACT_UP_TO = 2  # 90 minutes says more than 2 hours

BEHIND_OWN = "It waits behind others of yours that a limit holds back."


def used_up(claim: Claim, used: int, *, group: str | None, room_in: timedelta | None) -> str:
    """
    Args:
        group: Whose limit it is; None: one's own plan's.
        room_in: After what time there is room; None: never.
    """
    seconds = claim.window.unit == "gpu_ms"
    what, size = ("GPU seconds", MS) if seconds else ("generations", 1)
    whose = f"The group {group} may use" if group else "Your plan allows"
    allowed = f"{whose} {claim.window.allowed // size} {what} {PERIODS[claim.window.length]}"
    if room_in is None:
        return f"{allowed}. Ask an administrator for another plan."
    needed = f", and this needs about {rounded_up(claim.amount, size)}" if seconds else ""
    state = f"{rounded_up(used, size)} are used{needed}"
    free = "There is room for it" if seconds else "The next one is free"
    return f"{allowed}, and {state}. {free} in {in_words(room_in)}; submit it again then."


def held_back(claim: Claim, *, group: str | None) -> str:
    """Why it waits, for as long as it does: when that is over stands beside it."""
    seconds = claim.window.unit == "gpu_ms"
    what, size = ("GPU seconds", MS) if seconds else ("generations", 1)
    whose = f"The group {group} has" if group else "You have"
    return (
        f"{whose} used the {claim.window.allowed // size} {what} {PERIODS[claim.window.length]} that are allowed. "
        "It waits until there is room again."
    )


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
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def in_gigabytes(count: int) -> str:
    return f"{count / 1024**3:.1f}"


def rounded_up(amount: int, size: int) -> int:
    return -(-amount // size)
