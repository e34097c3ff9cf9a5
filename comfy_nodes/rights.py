"""What somebody is let in for, by the rule of a route (`access_rules`), and what they are told where not."""

from __future__ import annotations

from .access_rules import Rule
from .caller import Caller

FORBIDDEN = 403
SAFE_METHODS = frozenset({"GET", "HEAD"})
ONLY_ADMINISTRATORS = "Only administrators may do this."
NOT_FOR_GUESTS = "Guests keep nothing here. Ask an administrator to make you a member."
NOT_IN_THE_TABLE = (
    "Genonaut does not know what this does, so only administrators may use it. "
    "What some other pack of this ComfyUI adds is not safe for several people unless it is known to be."
)


class Refusal(Exception):
    """This caller does not get this."""

    def __init__(self, status: int, kind: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.retry_after_s = retry_after_s


def require_right(method: str, rule: Rule | None, caller: Caller) -> None:
    """
    May this person use a route with this rule? None: the route is not in the table.

    Raises:
        Refusal: They may not.
    """
    if rule in (None, Rule.ADMIN) and not caller.is_admin:
        raise Refusal(FORBIDDEN, "admins_only", ONLY_ADMINISTRATORS if rule else NOT_IN_THE_TABLE)
    if rule is Rule.KEEPER and caller.is_guest:
        raise Refusal(FORBIDDEN, "not_for_guests", NOT_FOR_GUESTS)
    scope = "read" if method in SAFE_METHODS else "submit"
    if not caller.may(scope):
        raise Refusal(
            FORBIDDEN, "scope_missing", f"These credentials are not good for this: they lack the scope “{scope}”."
        )
