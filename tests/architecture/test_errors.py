"""`sidecar/docs/errors.md` is where somebody who met an error looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import sidecar
from sidecar.catalog import usable
from sidecar.comfyui.workflow_builder import checking
from sidecar.errors import GenonautError
from sidecar.field_faults import OTHER_FAULTS, WRONG_TYPE
from sidecar.generations import failures
from sidecar.generations.states import GenerationState
from sidecar.generations.timeouts import limits
from sidecar.problems import FieldError
from sidecar.settings import Settings

FOLDER = Path(sidecar.__file__).parent
PAGE = (FOLDER / "docs" / "errors.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)
WRITTEN_OUT = re.compile(r"""(?:error_code = |"code": )"(\w+)\"""")
CODES_OF_FIELDS = ("REQUIRED", "TOO_LONG", "OUT_OF_RANGE", "NOT_A_NAME", "MODEL_UNKNOWN", "CHOICE_UNKNOWN")


def codes_of_errors(of: type[GenonautError] = GenonautError) -> Iterator[str]:
    yield of.code
    for child in of.__subclasses__():
        yield from codes_of_errors(child)


def codes_written_out() -> Iterator[str]:
    """Codes that stand as text where they are used."""
    for file in FOLDER.rglob("*.py"):
        if file.name != "openapi_facts.py":
            yield from WRITTEN_OUT.findall(file.read_text(encoding="utf-8"))


def every_code() -> set[str]:
    everything_on = Settings(data_folder=FOLDER, waiting_at_most_s=1, starting_at_most_s=1, silent_at_most_s=1)
    return {
        *codes_of_errors(),
        *codes_written_out(),
        *(limit.code for limit in limits(everything_on)),
        *(getattr(checking, name) for name in CODES_OF_FIELDS),
        *(failures.NODE_FAILED, failures.OUT_OF_MEMORY, usable.SWITCHED_OFF),
        *(WRONG_TYPE, *(code for _pattern, code, _sentence in OTHER_FAULTS)),
        *(GenerationState.LOST.value, FieldError("", "").code),
    }


def test_every_code_is_explained_once_and_none_that_there_is_not() -> None:
    """
    Whoever adds an error adds what it means and what to do.
    """
    explained = [code for code, _meaning, _advice in ROW.findall(PAGE)]

    assert sorted(explained) == sorted(every_code())


def test_every_code_says_what_it_means_and_what_to_do() -> None:
    """
    A row that leaves one of them open helps nobody.
    """
    assert all(len(meaning) > 10 and len(advice) > 5 for _code, meaning, advice in ROW.findall(PAGE))
