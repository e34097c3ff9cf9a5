"""
Where ComfyUI itself decides about files, for whoever the running code works.

    get_save_image_path      output/genonaut/<user id>/<day>/<prefix>: all that saves through it, linked prefixes too;
                             previews in temp/genonaut/<user id>/; of prompts under review in genonaut/review/
    get_annotated_filepath   the files of that person and the shared ones, also for names that a node puts together
    get_input_info           what may be chosen where ComfyUI validates a choice of files, and tells it in its errors

These are ComfyUI's own functions, which its nodes and those of other packs call by their module. What reads and writes
files in a way of its own is not held by this; see `docs/security.md`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from .caller import only_theirs
from .input_combos import is_for_uploads, may_choose
from .ownership import ACTING_FOR, SHARED, OwnedFiles
from .places import OWN_FOLDER, Name, Place, is_inside
from .under_review import REVIEW_FOLDER

log = logging.getLogger("genonaut.files")

DEFAULT_PREFIX = "ComfyUI"  # as in ComfyUI's own nodes
CLOCK_SLACK_S = 2.0
"""How far a file system's clock may be behind, for a file that was nobody's until now."""


class WorkingFor:
    """Knows for whom the code works that asks: whose prompt runs or is looked at, else who sent the request."""

    def __init__(self, queue: Any, executing_context: Callable[[], Any]) -> None:
        self._queue = queue
        self._executing_context = executing_context

    def __call__(self) -> str | None:
        """Give their id; None for nobody in particular: another pack's prompt, the sidecar, ComfyUI itself."""
        context = self._executing_context()
        owner = None if context is None else self._queue.whose(context.prompt_id)
        if owner or ACTING_FOR.get():
            return str(owner or ACTING_FOR.get())
        caller = only_theirs()
        if caller is not None:
            return caller.user_id
        prompt = self._prompt()
        return None if prompt is None else prompt[1] or None

    def is_under_review(self) -> bool:
        """Do administrators look first at what the code makes that asks?"""
        prompt = self._prompt()
        return prompt is not None and self._queue.is_under_review(prompt[0])

    def _prompt(self) -> tuple[str, str] | None:
        """The id of the prompt that runs here, and whose it is."""
        context = self._executing_context()
        if context is not None:
            return context.prompt_id, self._queue.whose(context.prompt_id) or ""
        running = self._queue.running_for() if is_in_a_thread_of_its_own() else []
        return running[0] if len(running) == 1 else None  # a node's own thread, which does not know what it works for


def is_in_a_thread_of_its_own() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


class FileHooks:
    """What stands in the place of ComfyUI's functions. One a process."""

    def __init__(
        self, files: OwnedFiles, working_for: Callable[[], str | None], is_under_review: Callable[[], bool]
    ) -> None:
        self._files = files
        self._working_for = working_for
        self._is_under_review = is_under_review

    def save_in_own_folder(self, get_save_image_path: Callable[..., Any]) -> Callable[..., Any]:
        def get_own_save_image_path(filename_prefix: str, output_dir: str, *args: Any, **kwargs: Any) -> Any:
            owner = self._working_for()
            place = self._files.folders.place_at(os.path.join(output_dir, filename_prefix)) if owner else None
            if owner is None or place is None:  # ComfyUI refuses what leads elsewhere
                return get_save_image_path(filename_prefix, output_dir, *args, **kwargs)
            if place.kind == "input":
                refuse_foreign(place, owner)
                return get_save_image_path(filename_prefix, output_dir, *args, **kwargs)
            folder = self._files.folders.of(place.kind)
            prefix = own_prefix(place, owner, is_under_review=self._is_under_review())
            return get_save_image_path(prefix, folder, *args, **kwargs)

        return get_own_save_image_path

    def find_own(self, get_annotated_filepath: Callable[..., str]) -> Callable[..., str]:
        def get_own_annotated_filepath(name: str, default_dir: str | None = None) -> str:
            path = get_annotated_filepath(name, default_dir)
            if not self._may_read(path, default_dir):
                raise ValueError(f"Invalid file path: {name!r}")
            return path

        return get_own_annotated_filepath

    def only_own_exist(self, exists_annotated_filepath: Callable[..., bool]) -> Callable[..., bool]:
        def own_annotated_filepath_exists(name: str) -> bool:
            read = self._files.folders.read(name, "input")
            path = read and os.path.join(self._files.folders.of(read[0].kind) or "", read[0].path)
            return bool(path) and self._may_read(str(path)) and exists_annotated_filepath(name)

        return own_annotated_filepath_exists

    def offer_own(self, get_input_info: Callable[..., Any]) -> Callable[..., Any]:
        def get_own_input_info(*args: Any, **kwargs: Any) -> Any:
            kind, category, more = get_input_info(*args, **kwargs)
            options = kind if isinstance(kind, list) else more.get("options") if isinstance(more, Mapping) else None
            # A list of another kind is some pack's way to take everything.
            owner = self._working_for() if type(options) is list else None
            if owner is None or options is None:
                return kind, category, more
            own = OwnChoices(options, owner, self._files if is_for_uploads(more or {}) else None)
            return (own, category, more) if kind is options else (kind, category, {**more, "options": own})

        return get_own_input_info

    def _may_read(self, path: str, default_dir: str | None = None) -> bool:
        owner = self._working_for()
        if owner is None:
            return True
        place = self._files.folders.place_at(path)
        if place is None and self._files.folders.is_shared_elsewhere(path):
            return True
        if place is None:  # a folder of the node's own choice
            return default_dir is not None and is_inside(os.path.realpath(path), os.path.realpath(default_dir))
        return self._files.owner_at_sight(place) in (SHARED, owner)


class OwnChoices(list[Any]):
    """
    What a person may choose from: no folders of others, and their own files as well where files can be uploaded.

    Those are not listed for it. ComfyUI asks whether a name is among them, and where not, it tells the list.
    """

    def __init__(self, options: list[Any], owner_id: str, uploads: OwnedFiles | None) -> None:
        super().__init__(option for option in options if may_choose(option, owner_id))
        self._owner_id = owner_id
        self._uploads = uploads

    def __contains__(self, value: object) -> bool:
        if super().__contains__(value):
            return True
        read = self._uploads.folders.read(value, "input") if self._uploads and isinstance(value, str) else None
        place = self._uploads.folders.place_of(read[0]) if self._uploads and read else None
        return place is not None and place.owner_by_folder == self._owner_id


def own_prefix(place: Place, owner_id: str, *, is_under_review: bool = False) -> str:
    """
    Give the prefix by which a file lands in its owner's folder, or with all that is under review; an output by day.

    Raises:
        ValueError: It names somebody else's folder.
    """
    refuse_foreign(place, owner_id)
    steps = place.parts
    if place.owner_by_folder is not None:
        if len(steps) > len((OWN_FOLDER, owner_id)) and not is_under_review:
            return "/".join(steps)
        steps = steps[2:]
    elif place.is_among_peoples_folders:
        steps = steps[1:]  # as our own node's prefix begins by default
    day = (time.strftime("%Y-%m-%d"),) if place.kind == "output" else ()
    whose = REVIEW_FOLDER if is_under_review else owner_id
    return "/".join((OWN_FOLDER, whose, *day, *(steps or (DEFAULT_PREFIX,))))


def refuse_foreign(place: Place, owner_id: str) -> None:
    """
    Raises:
        ValueError: This place is in somebody else's folder.
    """
    if place.owner_by_folder not in (None, owner_id):
        raise ValueError("This would be saved in somebody else's folder. Choose another filename_prefix.")


class OutputWatch:
    """Notes whose the files are that nodes write in ways of their own, where no folder says so."""

    def __init__(self, files: OwnedFiles, queue: Any) -> None:
        self._files = files
        self._queue = queue

    def executed(self, told: Mapping[str, Any]) -> None:
        """Take note of ComfyUI's event of that name, before anybody else hears of it."""
        prompt_id, output = told.get("prompt_id"), told.get("output")
        owner = self._queue.whose(prompt_id)
        started_at = self._queue.genonaut.started_at.get(prompt_id)
        if not owner or started_at is None or not isinstance(output, Mapping):
            return
        is_under_review = self._queue.is_under_review(prompt_id)
        for name in files_in(output):
            place = self._files.folders.place_of(name)
            if place is None or place.kind == "input" or place.is_among_peoples_folders:
                continue
            if is_under_review:
                self._files.seen.forget(place)  # the sidecar knows whose it is, and from when on
                continue
            # A node may name any file, and one that ComfyUI remembers names old ones: only who wrote it owns it.
            is_new = self._files.seen.owner_of(place) is None
            if self._written_at(place) >= started_at - (CLOCK_SLACK_S if is_new else 0.0):
                self._files.seen.remember(place, owner)

    def _written_at(self, place: Place) -> float:
        try:
            return os.stat(os.path.join(self._files.folders.of(place.kind) or "", *place.parts)).st_mtime
        except OSError:
            return 0.0


def files_in(output: Mapping[str, Any]) -> list[Name]:
    """Every file that a node says it wrote."""
    entries = [entry for value in output.values() if isinstance(value, (list, tuple)) for entry in value]
    return [
        Name(str(entry.get("type") or "output"), str(PurePosixPath(str(entry.get("subfolder") or ""), filename)))
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(filename := entry.get("filename"), str) and filename
    ]
