"""
What happened in ComfyUI and has not been confirmed by the sidecar yet: one JSON line for each entry, only appended.

The file, line by line:

    {"journal": "<id>", "sequence": 41}     how far sequences had come when this file was made
    {"sequence": 42, "kind": "finished", ...}
    {"confirmed": 42}                       everything up to here is recorded elsewhere

A process that dies in the middle of a line leaves a torn last line. It is cut off when the file is opened again: nobody
was told of it, and ComfyUI had not finished that step either. Lines reach the operating system one by one, so that a
killed process loses none of them.

A power cut may take lines that the sidecar has recorded already. So that no entry ever gets a number of theirs, each
process begins at the time of the clock in milliseconds, or after the last line where that is further.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .files import put_in_place
from .wire import encode_json

log = logging.getLogger("genonaut.journal")

TRY_AGAIN_AFTER_S = 5.0
MOST_BYTES_AT_ONCE = 8 * 1024**2
DEAD_BYTES_WORTH_COMPACTING = 256 * 1024


@dataclass(frozen=True)
class Place:
    """Where one unconfirmed entry lies in the file."""

    offset: int
    length: int
    finished_prompt: str | None


@dataclass(frozen=True)
class Growth:
    """One entry that was written; `line` is its JSON as it stands in the file."""

    kind: str
    sequence: int
    prompt_id: str
    line: bytes


@dataclass(frozen=True, eq=False)
class Unwritten:
    """An entry for which the disk had no room yet; it gets its sequence when it is written."""

    kind: str
    prompt_id: str
    text: bytes


class OutcomeJournal:
    """
    The journal of one ComfyUI. One a process, used from any thread.

    Memory holds a few numbers for each unconfirmed entry; the entries themselves stay in the file.
    """

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.file = file
        self.id = ""
        self.on_growth: Callable[[Growth], None] = lambda growth: None
        """Called after each entry, in the thread that appended it."""
        self.lock: BinaryIO | None = None
        """The open file by whose lock other processes know that this journal is taken."""
        self._lock = threading.Lock()
        self._places: OrderedDict[int, Place] = OrderedDict()
        self._unwritten: deque[Unwritten] = deque()
        self._next_try: threading.Timer | None = None
        self._sequence = 0
        self._end = 0
        self._torn = False
        self._open()
        self._sequence = max(self._sequence, int(clock() * 1000))

    def append(self, kind: str, prompt_id: str, facts: dict[str, Any]) -> int | None:
        """
        Write one entry, or keep it in memory while the disk takes none: it is full, or gone for a moment.

        What is kept is written before the next entry, and tried again every few seconds.

        Returns:
            Its sequence; None as long as it is not written.
        """
        entry = Unwritten(kind, prompt_id, encode_json({"kind": kind, "prompt_id": prompt_id, **facts}))
        with self._lock:
            self._unwritten.append(entry)
            written = self._write_what_waits()
        self._tell(written)
        return next((growth.sequence for waited, growth in written if waited is entry), None)

    def entries_after(self, sequence: int, *, most_bytes: int = MOST_BYTES_AT_ONCE) -> tuple[list[bytes], bool]:
        """
        Give unconfirmed entries with a higher sequence, oldest first, each as its JSON: at least one, if there is one.

        Returns:
            The entries, and whether there are more than fit.
        """
        told: list[bytes] = []
        told_bytes = 0
        with self._lock, self.file.open("rb") as handle:
            for number, place in self._places.items():
                if number <= sequence:
                    continue
                told_bytes += place.length
                if told and told_bytes > most_bytes:
                    return told, True
                told.append(read_at(handle, place))
        return told, False

    def is_finished(self, prompt_id: str) -> bool:
        """Is the outcome of this prompt waiting to be read?"""
        with self._lock:
            if any(entry.kind == "finished" and entry.prompt_id == prompt_id for entry in self._unwritten):
                return True
            return any(place.finished_prompt == prompt_id for place in self._places.values())

    def confirm(self, through: int) -> None:
        """Forget every entry up to this sequence: it is recorded elsewhere."""
        with self._lock:
            forgotten = [number for number in self._places if number <= through]
            if not forgotten:
                return
            self._write(encode_json({"confirmed": forgotten[-1]}) + b"\n")
            self._forget(forgotten)
            alive = sum(place.length for place in self._places.values())
            if self._end - alive > DEAD_BYTES_WORTH_COMPACTING:
                self._compact()

    def close(self) -> None:
        if self._next_try is not None:
            self._next_try.cancel()
        self._handle.close()
        if self.lock is not None:
            self.lock.close()

    def _try_again(self) -> None:
        with self._lock:
            self._next_try = None
            written = self._write_what_waits()
        self._tell(written)

    def _tell(self, written: list[tuple[Unwritten, Growth]]) -> None:
        for _, growth in written:
            self.on_growth(growth)

    def _write_what_waits(self) -> list[tuple[Unwritten, Growth]]:
        written: list[tuple[Unwritten, Growth]] = []
        try:
            while self._unwritten:
                written.append((self._unwritten[0], self._write_entry(self._unwritten[0])))
                self._unwritten.popleft()
        except OSError:
            self._try_again_later()
        return written

    def _try_again_later(self) -> None:
        if self._next_try is not None:
            return
        log.exception(
            "%d entries could not be written to %s and are kept in memory. Make room on the disk before ComfyUI ends.",
            len(self._unwritten),
            self.file,
        )
        self._next_try = threading.Timer(TRY_AGAIN_AFTER_S, self._try_again)
        self._next_try.daemon = True
        self._next_try.start()

    def _write_entry(self, entry: Unwritten) -> Growth:
        sequence = self._sequence + 1
        text = b'{"sequence":%d,%s' % (sequence, entry.text[1:])
        line = text + b"\n"
        offset = self._end
        self._write(line)
        self._sequence = sequence
        self._places[sequence] = Place(offset, len(line), entry.prompt_id if entry.kind == "finished" else None)
        return Growth(entry.kind, sequence, entry.prompt_id, text)

    def _open(self) -> None:
        if not self.file.exists():
            write_whole(self.file, [header(secrets.token_hex(8), 0)])
        self._handle = self.file.open("ab", buffering=0)
        try:
            self._read_back()
        except (ValueError, KeyError, TypeError):
            self._start_anew()

    def _read_back(self) -> None:
        with self.file.open("rb") as handle:
            first = json.loads(handle.readline())
            self.id, self._sequence = str(first["journal"]), int(first["sequence"])
            self._end = handle.tell()
            for line in handle:
                if not line.endswith(b"\n"):
                    break
                self._take_in(line)
                self._end += len(line)
        if self._end < self.file.stat().st_size:
            log.warning("The last line of %s was torn when ComfyUI ended; it is cut off.", self.file)
            self._handle.truncate(self._end)

    def _take_in(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            if "confirmed" in entry:
                self._forget([number for number in self._places if number <= entry["confirmed"]])
                return
            finished = entry["prompt_id"] if entry["kind"] == "finished" else None
            self._sequence = int(entry["sequence"])
            self._places[self._sequence] = Place(self._end, len(line), finished)
        except (ValueError, KeyError, TypeError):
            log.exception("A line of %s at byte %s cannot be read and is left out.", self.file, self._end)

    def _forget(self, numbers: list[int]) -> None:
        for number in numbers:
            del self._places[number]

    def _start_anew(self) -> None:
        """A file without a first line is nobody's journal: keep it for whoever wants to look, and begin another one."""
        self._handle.close()
        aside = self.file.with_suffix(".unreadable")
        self.file.replace(aside)
        log.error("%s cannot be read; it is kept as %s, and a new journal begins.", self.file, aside.name)
        self._open()

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        try:
            if self._torn:
                self._handle.truncate(self._end)
            self._torn = True  # until the line is whole
            while left:  # a disk that is nearly full takes a part, and refuses the next one
                left = left[self._handle.write(left) :]
        except OSError:
            with contextlib.suppress(OSError):  # then it is cut off before the next line
                self._handle.truncate(self._end)
                self._torn = False
            raise
        self._torn = False
        self._end += len(line)

    def _compact(self) -> None:
        with self.file.open("rb") as handle:
            kept = [(number, place, read_at(handle, place)) for number, place in self._places.items()]
        first = header(self.id, min(self._places, default=self._sequence + 1) - 1)
        self._handle.close()  # Windows replaces no file that is open
        try:
            write_whole(self.file, [first, *(line + b"\n" for _, _, line in kept)])
        except OSError:
            log.warning(
                "The journal %s cannot be made smaller now; that is tried again later.", self.file, exc_info=True
            )
        else:
            self._end = len(first)
            for number, place, line in kept:
                self._places[number] = Place(self._end, len(line) + 1, place.finished_prompt)
                self._end += len(line) + 1
        finally:
            self._handle = self.file.open("ab", buffering=0)


def header(journal: str, sequence: int) -> bytes:
    return encode_json({"journal": journal, "sequence": sequence}) + b"\n"


def read_at(handle: BinaryIO, place: Place) -> bytes:
    handle.seek(place.offset)
    return handle.read(place.length).rstrip(b"\n")


def write_whole(file: Path, lines: list[bytes]) -> None:
    """Put a whole file in place of another one; whoever opens it sees the old one or the new one, never a part."""
    part = file.with_suffix(".part")
    with part.open("wb") as handle:
        handle.writelines(lines)
        handle.flush()
        os.fsync(handle.fileno())
    put_in_place(part, file)
