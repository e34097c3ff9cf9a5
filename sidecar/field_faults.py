"""What msgspec finds wrong with a value, as a sentence for people and a code for programs."""

from __future__ import annotations

import copy
import re
from bisect import insort
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

WRONG_TYPE = "wrong_type"
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
    "uuid": "an id",
}
EXPECTED_TYPE = re.compile(r"Expected `(?P<expected>[\w |]+)`, got `(?P<got>\w+)`")
OTHER_FAULTS = (
    (re.compile(r"Object missing required field `(?P<member>.+)`"), "required", "Must be given."),
    (re.compile(r"Object contains unknown field `(?P<member>.+)`"), "unknown_field", "There is no such field."),
    (re.compile(r"Expected `(?:str|array)` of length <= (\d+)"), "too_long", "Must not be longer than {0}."),
    (re.compile(r"Expected `(?:str|array)` of length >= (\d+)"), "too_short", "Must not be shorter than {0}."),
    (re.compile(r"Expected `(?:int|float)` <= (\S+)"), "out_of_range", "Must be at most {0}."),
    (re.compile(r"Expected `(?:int|float)` >= (\S+)"), "out_of_range", "Must be at least {0}."),
    (re.compile(r"Expected `str` matching regex '(.+)'"), "malformed", "Must be of the form {0}."),
    (re.compile(r"Invalid enum value (.+)"), "choice_unknown", "There is no {0} to choose here."),
    (re.compile(r"Invalid UUID"), WRONG_TYPE, "Must be an id."),
    (re.compile(r"Invalid RFC3339 encoded datetime"), WRONG_TYPE, "Must be a time as RFC 3339 writes it."),
)


# Where msgspec found a fault: `$.loras[1].name`.
STEP = re.compile(r"\.(?P<member>[^.\[\]]+)|\[(?P<index>\d+)\]")
TOLD_AT_MOST = 50

Path = list[Any]
"""Names of members and indices of elements."""


class FieldFault(NamedTuple):
    code: str
    sentence: str
    member: str = ""
    """The member of the object that is missing in it, or should not be there."""


def explain(message: str) -> FieldFault:
    """Sentences that nobody here has heard of stay as they are."""
    types = EXPECTED_TYPE.fullmatch(message)
    if types is not None:
        expected = " or ".join(TYPES.get(name, name) for name in types["expected"].split(" | "))
        return FieldFault(WRONG_TYPE, f"Must be {expected}, not {TYPES.get(types['got'], types['got'])}.")
    for pattern, code, sentence in OTHER_FAULTS:
        found = pattern.fullmatch(message)
        if found is not None:
            member = found.groupdict().get("member", "")
            return FieldFault(code, sentence.format(*found.groups()), member)
    return FieldFault("invalid", message if message.endswith(".") else f"{message}.")


def all_faults(value: Any, wanted: Any) -> Iterator[tuple[str, str]]:
    """
    Each fault of a value, as its path (`loras[1].name`) and what msgspec says of it.

    msgspec stops at the first one: what is at fault is taken out, and the rest is looked at again.
    """
    rest = Rest(value)
    told: set[str] = set()
    for _ in range(TOLD_AT_MOST):
        found = first_fault(rest.value, wanted)
        if found is None:
            return
        path, message = found
        fault = explain(message)
        at = rest.as_it_was(path)
        field = written([*at, fault.member] if fault.member else at)
        if field not in told:  # else it is missing only because it was taken out
            yield written(at), message
        told.add(field)
        if not rest.take_out([*path, fault.member] if fault.code == "unknown_field" else path):
            return


def first_fault(value: Any, wanted: Any) -> tuple[Path, str] | None:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as exc:
        message, _, path = str(exc).partition(" - at `$")
        return [step["member"] or int(step["index"]) for step in STEP.finditer(path.rstrip("`"))], message
    return None


def written(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


class Rest:
    """What is left of a value. Who takes an element out of a list moves those behind it, and this remembers."""

    def __init__(self, value: Any) -> None:
        self.value = copy.deepcopy(value)
        self._taken: dict[str, list[int]] = {}
        """Of each list the indices, as they were, that are gone."""

    def as_it_was(self, path: Path) -> Path:
        was: Path = []
        for step in path:
            original = step
            for gone in self._taken.get(written(was), ()) if isinstance(step, int) else ():
                original += gone <= original
            was.append(original)
        return was

    def take_out(self, path: Path) -> bool:
        """False where it is the whole value."""
        if not path:
            return False
        *way, last = path
        inside = self.value
        for step in way:
            inside = inside[step]
        if isinstance(last, int):
            *list_was, index_was = self.as_it_was(path)
            insort(self._taken.setdefault(written(list_was), []), index_was)
        del inside[last]
        return True
