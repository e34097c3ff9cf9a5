"""What msgspec finds wrong with a value, as a sentence for people and a code for programs."""

from __future__ import annotations

import re
from typing import NamedTuple

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
    (re.compile(r"Invalid enum value (.+)"), "choice_unknown", "There is no {0} to choose here."),
    (re.compile(r"Invalid UUID"), WRONG_TYPE, "Must be an id."),
    (re.compile(r"Invalid RFC3339 encoded datetime"), WRONG_TYPE, "Must be a time as RFC 3339 writes it."),
)


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
