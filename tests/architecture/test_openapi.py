"""`sidecar/openapi.json` is what programs and people rely on; the app is what answers them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import sidecar
from sidecar.cli import describe_api
from sidecar.openapi_facts import OTHER_ANSWERS, REFUSALS
from sidecar.problems import PROBLEM_JSON, Problem

FILE = Path(sidecar.__file__).with_name("openapi.json")
DESCRIBED: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = DESCRIBED["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DESCRIBED["paths"].items()
    for method, operation in methods.items()
}


def test_the_file_says_what_the_app_does() -> None:
    """
    Whoever changes a route writes the file anew: python -m sidecar.cli openapi > sidecar/openapi.json
    """
    assert describe_api() == FILE.read_text(encoding="utf-8").rstrip("\n")


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_route_says_in_one_line_what_it_is_for(operation: dict[str, Any]) -> None:
    """
    The first line of the handler's docstring.
    """
    assert " " in operation["summary"]


def test_every_route_has_a_name_of_its_own() -> None:
    """
    Generated clients name their functions so.
    """
    names = [operation["operationId"] for operation in OPERATIONS.values()]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_error_is_described_as_a_problem(operation: dict[str, Any]) -> None:
    """
    Once, for all routes alike: none describes errors in a shape that it never answers in.
    """
    problem = DESCRIBED["components"]["responses"]["Problem"]

    assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
    assert list(problem["content"]) == [PROBLEM_JSON]
    for status, answer in operation["responses"].items():
        if status.startswith("4") and status != "416":  # a range that is not there: HTTP's own answer, without a body
            assert answer["content"] == problem["content"]


def test_a_problem_is_described_with_all_its_fields() -> None:
    """
    As `Problem` has them.
    """
    fields = DESCRIBED["components"]["schemas"]["Problem"]["properties"]

    assert set(fields) == set(Problem.__struct_encode_fields__)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_body_in_json_has_an_example(operation: dict[str, Any]) -> None:
    """
    What goes in and what comes out, so that nobody has to guess: `sidecar/openapi_facts.py` has them.
    """
    bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
    schemas = [
        content["schema"] for body in bodies for kind, content in body.get("content", {}).items() if "json" in kind
    ]

    for schema in schemas:
        assert described(schema)["examples"], schema


@pytest.mark.parametrize("name", [name for name, schema in SCHEMAS.items() if "examples" in schema])
def test_every_example_fits_its_schema(name: str) -> None:
    """
    An example that would be refused, or that no answer looks like, is worse than none.
    """
    validator = jsonschema_rs.validator_for(
        {"$ref": f"#/components/schemas/{name}", "components": DESCRIBED["components"]}
    )

    for example in SCHEMAS[name]["examples"]:
        validator.validate(example)


def test_no_secret_stands_in_an_address() -> None:
    """
    Whatever stands in front writes addresses into its log. What opens something comes in a body, a header or a cookie.
    """
    asked = [parameter for operation in OPERATIONS.values() for parameter in operation.get("parameters", [])]
    in_paths = {each["name"] for each in asked if each["in"] == "path" and each["schema"].get("format") != "uuid"}
    in_queries = {each["name"] for each in asked if each["in"] == "query"}

    assert in_paths == {"size", "plan_name"}
    assert not {"code", "invite", "password", "secret", "session", "token"} & in_queries


def test_every_fact_is_about_a_route_that_there_is() -> None:
    """
    A route that is gone takes what was said of it along.
    """
    names = {operation["operationId"] for operation in OPERATIONS.values()}

    assert {*REFUSALS, *OTHER_ANSWERS} <= names


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, where another one refers to it."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = SCHEMAS.get(name, schema)
    return found


def test_what_only_the_pack_may_ask_is_not_described() -> None:
    """
    It is no part of the API for people.
    """
    assert not [path for path in DESCRIBED["paths"] if "internal" in path]
