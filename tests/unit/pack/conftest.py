"""A sidecar that knows who people are, and the pack's recognition in front of it."""

from __future__ import annotations

import pytest
from fakes.knowing_sidecar import KnowingSidecar

from comfy_nodes.recognition import Callers


@pytest.fixture
def sidecar() -> KnowingSidecar:
    return KnowingSidecar()


@pytest.fixture
def callers(sidecar: KnowingSidecar) -> Callers:
    return Callers(sidecar)  # type: ignore[arg-type] # all that is used of it
