"""Texts that name somebody's folder, wherever they may lead. What else names lead to, `test_graph_files` says."""

from __future__ import annotations

import pytest
from fakes.comfyui_files import ADA, BOB

from comfy_nodes.named_files import names_somebody_else


@pytest.mark.parametrize(
    "text",
    [
        f"genonaut/{BOB}/x.png",
        f"output\\genonaut\\{BOB}\\x.png",
        f"/any/where/GENONAUT/./{BOB}",
        f"genonaut//{BOB}/x.png [output]",
        f"genonaut/{BOB} [output]",
        f"file:///x/genonaut/{BOB}/x",
    ],
)
def test_a_text_that_names_another_persons_folder_is_seen(text: str) -> None:
    """Wherever it may be relative to."""
    assert names_somebody_else(text, ADA)
    assert not names_somebody_else(text, BOB)


@pytest.mark.parametrize("text", ["genonaut", "a genonaut in space", "genonaut/image", f"{BOB}", f"genonaut {BOB}"])
def test_a_text_that_names_nobodys_folder_is_left_alone(text: str) -> None:
    """Our name is a word, and the beginning of a prefix."""
    assert not names_somebody_else(text, ADA)
