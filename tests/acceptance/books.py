"""
What must be true of everything that is written down, whatever was killed in between.

Read from the files themselves, past all code that might take a fault of its own for the truth.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from acceptance.installation import OPEN_STATES, Installation, until
from PIL import Image

# A worker that was killed is thought dead when it has missed its own report for a while.
QUEUE_HEALED_WITHIN_S = 60.0

ABOUT_ONE_GENERATION = ("generation_", "image_", "images_", "cancel_", "token_")

Rows = list[sqlite3.Row]


def rows(file: Path, query: str) -> Rows:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10.0)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()


def check_books(genonaut: Installation, submitted: Iterable[str], *, files_may_be_left_over: bool) -> None:
    """
    Everything has settled, and everything adds up.

    Args:
        submitted: Prompts that people were told to have been taken. None may be missing.
        files_may_be_left_over: ComfyUI was killed, perhaps between writing a file and saying so; that prompt ran again.
    """
    genonaut.wait_until_nothing_is_open()
    until(lambda: all_kept(genonaut), what="No image is still expected")
    until(lambda: not unconfirmed(genonaut), what="The journal of outcomes is confirmed")
    until(lambda: not stuck_jobs(genonaut), within_s=QUEUE_HEALED_WITHIN_S, what="No job is stuck in the queue")
    generations = {generation["id"]: generation for generation in genonaut.history()}
    assert set(submitted) <= generations.keys()
    check_events(genonaut, {generation_id: generation["state"] for generation_id, generation in generations.items()})
    check_images(genonaut, files_may_be_left_over=files_may_be_left_over)
    assert lines_without_their_generation(genonaut, generations) == []


def all_kept(genonaut: Installation) -> bool:
    return not rows(genonaut.data / "genonaut.sqlite3", "SELECT 1 FROM images WHERE state = 'expected' LIMIT 1")


def unconfirmed(genonaut: Installation) -> list[Any]:
    """What the journal still holds, and what ComfyUI still has in its hands."""
    look = genonaut.ask_pack("GET", "/genonaut/outcomes", params={"after": 0}).json()
    return [*look["entries"], *look["running"], *look["pending"]]


def stuck_jobs(genonaut: Installation) -> Rows:
    """Jobs that have neither ended nor wait for their moment; the clockwork's next moment is always there."""
    query = "SELECT key, status FROM queue_jobs WHERE status IN ('new', 'active', 'aborting') OR ready = 1"
    left = rows(genonaut.data / "queue.sqlite3", query + " AND status = 'queued'")
    return [job for job in left if not job["key"].startswith("cron:")]


def check_events(genonaut: Installation, states: dict[str, str]) -> None:
    """Each generation begins once, ends once, and what its events say last is what its row says."""
    query = "SELECT hex(generation_id) AS generation, state FROM generation_events ORDER BY id"
    told = defaultdict(list)
    for row in rows(genonaut.data / "genonaut.sqlite3", query):
        told[row["generation"].lower()].append(row["state"])
    for generation_id, state in states.items():
        events = told.pop(generation_id.replace("-", ""))
        assert state not in OPEN_STATES
        assert events[-1] == state, f"{generation_id} is {state} and its events end otherwise: {events}"
        assert all(event in OPEN_STATES for event in events[:-1]), f"{generation_id} has ended twice: {events}"
    assert not told, "There are events of generations that are not there."


def check_images(genonaut: Installation, *, files_may_be_left_over: bool) -> None:
    """Each completed generation has its one image; each file in ComfyUI's folder is of the generation that it names."""
    query = "SELECT hex(generation_id) AS generation, node_id, position, state, file FROM images"
    images = rows(genonaut.data / "genonaut.sqlite3", query)
    places = Counter((image["generation"], image["node_id"]) for image in images)
    assert max(places.values(), default=1) == 1, f"An output is recorded twice: {places.most_common(1)}"
    assert {image["state"] for image in images} <= {"kept"}

    recorded = {genonaut.output_file(json.loads(image["file"])): image["generation"].lower() for image in images}
    assert len(recorded) == len(images), "Two generations have the same file."
    completed = {g["id"].replace("-", "") for g in genonaut.history() if g["state"] == "completed"}
    assert set(recorded.values()) == completed
    for file, tagged in tagged_files(genonaut.base / "output"):
        if file in recorded:
            assert recorded.pop(file) == tagged, f"{file} is recorded for another generation than its own."
        else:
            assert files_may_be_left_over, f"{file} is recorded nowhere."
    assert not recorded, f"Files that are recorded and not there: {recorded}"


def tagged_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every whole picture, with the generation that its metadata names."""
    for file in folder.rglob("*.png"):
        try:
            with Image.open(file) as picture:
                tag = json.loads(picture.info["genonaut"])
        except (OSError, SyntaxError):  # ComfyUI's own node was killed while it wrote
            continue
        yield file, tag["generation_id"].replace("-", "")


def log_lines(genonaut: Installation) -> list[dict[str, Any]]:
    """The sidecar's log; what else stands in it is what Python says before there is a log."""
    text = (genonaut.data / "sidecar.log").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


def lines_without_their_generation(genonaut: Installation, generation_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Log lines that speak of a generation and would not be found by its id."""
    spoken_of = re.compile("|".join(generation_ids))
    return [
        line
        for line in log_lines(genonaut)
        if "generation_id" not in line
        and (line["event"].startswith(ABOUT_ONE_GENERATION) or spoken_of.search(json.dumps(line)))
    ]
