"""Reading what nodes report never raises, and never leads out of ComfyUI's folders."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.gallery.references import FileReference, FoundImage, find_images, names_files

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["images", "genonaut", "filename", "subfolder", "type"]) | st.text(), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_can_be_read(outputs: Any) -> None:
    """
    Whatever stands in an outcome, the recorder goes on.
    """
    for found in find_images(outputs):
        assert (found.reference is None) == bool(found.reason)
    assert names_files(outputs) in (True, False)


@given(st.lists(JSON, max_size=5).map(lambda entries: {"9": {"images": entries}}))
def test_any_entry_can_be_read(outputs: Any) -> None:
    """
    The same, where the outer shape is right.
    """
    for found in find_images(outputs):
        assert (found.reference is None) == bool(found.reason)


@pytest.mark.parametrize(
    "entry",
    [
        {"filename": "../a.png"},
        {"filename": "..\\a.png"},
        {"filename": "/etc/a.png"},
        {"filename": "C:a.png"},
        {"filename": "C:\\a.png"},
        {"filename": "sub/a.png"},
        {"filename": "a.png\0.txt"},
        {"filename": ""},
        {"filename": None},
        {"filename": "a.png", "subfolder": "../.."},
        {"filename": "a.png", "subfolder": "b/../../c"},
        {"filename": "a.png", "subfolder": "b\\..\\..\\c"},
        {"filename": "a.png", "subfolder": "/etc"},
        {"filename": "a.png", "subfolder": "\\\\server\\share"},
        {"filename": "a.png", "subfolder": "D:"},
        {"filename": "a.png", "subfolder": None},
        {"filename": "a.png", "type": "custom"},
    ],
    ids=str,
)
def test_what_leads_elsewhere_is_not_a_reference(entry: dict[str, Any]) -> None:
    """
    Told with a reason, which its owner can read.
    """
    (found,) = find_images({"9": {"images": [entry]}})

    assert found.reference is None
    assert found.reason.startswith("ComfyUI named a file that cannot be used: ")


@pytest.mark.parametrize(
    ("filename", "subfolder"),
    [
        ("ComfyUI_00001_.png", ""),
        ("ComfyUI_00001_.png", "genonaut/2026"),
        ("ComfyUI_00001_.png", "genonaut\\2026"),
        ("portraits\\ada_00001_.png", ""),
        ("ä ö..ü_00001_.webp", "..dots.."),
        ("12:30_00001_.png", ""),
    ],
)
def test_ordinary_names_are_references(filename: str, subfolder: str) -> None:
    """
    As ComfyUI writes them on Windows and on Linux.
    """
    (found,) = find_images({"9": {"images": [{"filename": filename, "subfolder": subfolder, "type": "output"}]}})

    assert found.reference == FileReference(filename, subfolder, "output")


def test_each_report_belongs_to_the_image_at_its_place() -> None:
    """
    Entries that are left out keep their place in the count.
    """
    outputs = {
        "9": {
            "images": [{"filename": "a.mp4"}, {"filename": "b.png"}, {"filename": "c.png"}],
            "genonaut": [{"bytes": 1}, {"bytes": 2}],
        }
    }

    assert list(find_images(outputs)) == [
        FoundImage("9", FileReference("b.png"), reported={"bytes": 2}),
        FoundImage("9", FileReference("c.png"), reported={}),
    ]
