"""
Whatever is asked, the answer is one that the description of the API tells of.

schemathesis makes the questions up from the description itself: some as it wants them, some that break its rules. They
are the same ones in every run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

import sidecar

from .conftest import NOBODY, Served

FILE = Path(sidecar.__file__).with_name("openapi.json")
QUESTIONS = settings().max_examples // 25  # of each kind, to each route: 4, or 40 where somebody is thorough
TIMEOUT_S = 30.0
EVENT_STREAM = "text/event-stream"

Operation = APIOperation[Any, Any, Any, Any]


def described() -> dict[str, Any]:
    """
    The description without its answer for everything else, with which every answer would be a described one; and
    without the streams, which never end and have tests of their own.
    """
    schema: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    for operations in schema["paths"].values():
        for method, operation in list(operations.items()):
            del operation["responses"]["default"]
            if any(EVENT_STREAM in answer.get("content", {}) for answer in operation["responses"].values()):
                del operations[method]
    return schema


def operations() -> Iterator[Operation]:
    for found in schemathesis.openapi.from_dict(described()).get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


OPERATIONS = list(operations())

load_all_checks()
# What no schema says (either parameters or a workflow, a width that is a multiple of 8) is refused, and may be; and in
# open access nobody need show who asks (`integration/access` asks where they must).
NOT_PROMISED = {"positive_data_acceptance", "ignored_auth"}
PROMISES: list[Any] = [check for check in CHECKS.get_all() if check.__name__ not in NOT_PROMISED]

the_same_every_time = settings(
    max_examples=QUESTIONS,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def rules(operation: Operation) -> Iterator[Any]:
    """What of a question can be wrong; a plain text in the path cannot, it names nothing at worst."""
    yield from (found for found in operation.iter_parameters() if found.definition["schema"] != {"type": "string"})
    yield from operation.body


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_who_asks_for_the_description_gets_it_however_often(served: Served, http: requests.Session) -> None:
    """
    All of it, with what no handler says, also the second time.
    """
    first, second = (http.get(f"{served.url}/schema/openapi.json", timeout=TIMEOUT_S).json() for _ in range(2))

    assert first == json.loads(FILE.read_text(encoding="utf-8"))
    assert second == first


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_a_described_one(served: Served, http: requests.Session, operation: Operation) -> None:
    """
    Never a 5xx, no status and no media type that is not described, and every body as its schema says. What is missing
    in the description belongs into `sidecar/openapi_facts.py`.
    """
    ask(served, http, operation, GenerationMode("positive"))


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if any(rules(one))], ids=lambda operation: operation.label
)
def test_what_breaks_the_rules_is_refused(served: Served, http: requests.Session, operation: Operation) -> None:
    """
    With a described answer, too.
    """
    ask(served, http, operation, GenerationMode("negative"))


def ask(served: Served, http: requests.Session, operation: Operation, mode: GenerationMode) -> None:
    """Ask some questions; where a path takes an id, half of them name something that is there."""
    known = {name: st.sampled_from(ids) for name, ids in served.known.items() if f"{{{name}}}" in operation.path}
    paths = st.none() | st.fixed_dictionaries(known) if known else st.none()

    @the_same_every_time
    @given(st.data())
    def ask_some(data: st.DataObject) -> None:
        case: Case[Operation] = data.draw(operation.as_strategy(mode, path_parameters=data.draw(paths)))
        keep_on_this_machine(case)
        case.call_and_validate(base_url=served.url, session=http, checks=PROMISES, timeout=TIMEOUT_S)

    ask_some()


def keep_on_this_machine(case: Case[Operation]) -> None:
    """A ComfyUI may be registered under any address, and the sidecar asks it: here none but one where nobody is."""
    if isinstance(case.body, dict) and str(case.body.get("url")).startswith("http"):
        case.body["url"] = f"{NOBODY}/{quote(str(case.body['url']), safe='')}"
