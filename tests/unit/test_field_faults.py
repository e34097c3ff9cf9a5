"""What msgspec says of a value, for people."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct

from sidecar.field_faults import FieldFault, explain


class Colour(Enum):
    RED = "red"


class Form(Struct, forbid_unknown_fields=True):
    """One field of each kind that requests here have."""

    name: str
    count: Annotated[int, Meta(ge=1, le=9)] | None = 1
    share: float = 0.0
    title: Annotated[str, Meta(min_length=1, max_length=3)] = "x"
    tags: Annotated[list[str], Meta(max_length=1)] = []
    colour: Colour = Colour.RED
    id: UUID = UUID(int=0)
    done: bool = False


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ({"name": 5}, FieldFault("wrong_type", "Must be text, not a whole number.")),
        ({"name": "", "count": "5"}, FieldFault("wrong_type", "Must be a whole number or null, not text.")),
        ({"name": "", "share": []}, FieldFault("wrong_type", "Must be a number, not a list.")),
        ({"name": "", "done": {}}, FieldFault("wrong_type", "Must be true or false, not an object.")),
        ({"name": "", "count": 0}, FieldFault("out_of_range", "Must be at least 1.")),
        ({"name": "", "count": 10}, FieldFault("out_of_range", "Must be at most 9.")),
        ({"name": "", "title": ""}, FieldFault("too_short", "Must not be shorter than 1.")),
        ({"name": "", "title": "long"}, FieldFault("too_long", "Must not be longer than 3.")),
        ({"name": "", "tags": ["a", "b"]}, FieldFault("too_long", "Must not be longer than 1.")),
        ({"name": "", "colour": "blue"}, FieldFault("choice_unknown", "There is no 'blue' to choose here.")),
        ({"name": "", "id": "x"}, FieldFault("wrong_type", "Must be an id.")),
        ({}, FieldFault("required", "Must be given.", "name")),
        ({"name": "", "nam": ""}, FieldFault("unknown_field", "There is no such field.", "nam")),
    ],
)
def test_every_fault_that_msgspec_finds_is_a_sentence(form: dict[str, Any], fault: FieldFault):
    """
    Nobody who fills in a form knows what `int | null` is.
    """
    with pytest.raises(msgspec.ValidationError) as found:
        msgspec.convert(form, Form)

    assert explain(str(found.value).split(" - ", maxsplit=1)[0]) == fault


def test_what_is_unheard_of_stays_as_it_is():
    """
    A later msgspec may find new faults; its own words are better than none.
    """
    assert explain("Something new") == FieldFault("invalid", "Something new.")
