"""
What ComfyUI says it wrote: `outputs` of an outcome, read with care.

Nodes of any origin report here, so anything may stand in it. Reading never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec
import structlog
from msgspec import Struct, field

IMAGE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
)
FOLDER_TYPES = frozenset({"output", "temp", "input"})
WRITTEN_TO = ("output", "temp")
DRIVE = re.compile(r"[A-Za-z]:")

log = structlog.get_logger(__name__)


class FileReference(Struct, frozen=True):
    """A file as ComfyUI names it: relative to its output, temp or input folder."""

    filename: str
    subfolder: str = ""
    type: str = "output"


class FoundImage(Struct, frozen=True):
    """One entry of a node's `images`: a reference, or the reason why there is none."""

    node_id: str
    reference: FileReference | None
    reason: str = ""
    reported: dict[str, Any] = field(default_factory=dict)


def find_images(outputs: Any) -> Iterator[FoundImage]:
    """Every picture in the outputs of a prompt, in their order; what is no picture (video, audio, text) is left out."""
    if not isinstance(outputs, Mapping):
        return
    for node_id, output in outputs.items():
        entries = output.get("images") if isinstance(output, Mapping) else None
        if not isinstance(entries, (list, tuple)):
            continue
        reports = reports_of(output)
        for index, entry in enumerate(entries):
            found = read_entry(str(node_id), entry, reports[index] if index < len(reports) else {})
            if found is not None:
                yield found


def names_files(outputs: Any) -> bool:
    """Do the outputs of a prompt tell of anything that was written and can be fetched: pictures, videos, sounds?"""
    told = outputs.values() if isinstance(outputs, Mapping) else ()
    lists = [entries for output in told if isinstance(output, Mapping) for entries in output.values()]
    return any(is_written(entry) for entries in lists if isinstance(entries, (list, tuple)) for entry in entries)


def is_written(entry: Any) -> bool:
    return isinstance(entry, Mapping) and bool(entry.get("filename")) and entry.get("type") in WRITTEN_TO


def reports_of(output: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What our own node says of its images, one for each, in their order (sidecar/README.md, "Outcomes")."""
    reports = output.get("genonaut")
    if not isinstance(reports, (list, tuple)):
        return []
    return [report if isinstance(report, dict) else {} for report in reports]


def read_entry(node_id: str, entry: Any, reported: dict[str, Any]) -> FoundImage | None:
    try:
        reference = msgspec.convert(entry, FileReference)
        check_reference(reference)
    except (msgspec.ValidationError, ValueError) as exc:
        log.warning("output_entry_unusable", node_id=node_id, reason=str(exc))
        return FoundImage(node_id, None, reason=f"ComfyUI named a file that cannot be used: {exc}.")
    if suffix_of(reference) not in IMAGE_SUFFIXES:
        log.info("output_is_no_picture", node_id=node_id, filename=reference.filename)
        return None
    return FoundImage(node_id, reference, reported=reported)


def check_reference(reference: FileReference) -> None:
    """
    Raises:
        ValueError: This does not name a file inside one of ComfyUI's folders.
    """
    if reference.type not in FOLDER_TYPES:
        raise ValueError(f"{reference.type!r} is none of its folders")
    if not reference.filename or "/" in reference.filename:
        raise ValueError(f"{reference.filename!r} is not the name of a file")
    for text in (reference.filename, reference.subfolder):
        if leads_elsewhere(text):
            raise ValueError(f"{text!r} leads out of its folder")


def leads_elsewhere(text: str) -> bool:
    """
    Could this part of a path lead out of the folder that it is relative to?

    Back slashes count as separators: ComfyUI on Windows reports sub-folders with them. Names that merely contain one
    are left alone, since on Linux they are ordinary characters (`filename_prefix` of a workflow made on Windows).
    """
    parts = text.replace("\\", "/").split("/")
    return "\0" in text or ".." in parts or text[:1] in {"/", "\\"} or DRIVE.match(text) is not None


def suffix_of(reference: FileReference) -> str:
    return PurePosixPath(reference.filename).suffix.lower()
