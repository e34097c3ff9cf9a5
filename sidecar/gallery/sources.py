"""Where the bytes of images come from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from uuid import UUID

from sidecar.gallery.references import FileReference


class ImageSource(Protocol):
    """Where the bytes of an output are: ComfyUI's own folder if it is on this machine, else its HTTP door."""

    def local_path(self, file: FileReference) -> Path | None:
        """The file itself, if it can be read from here and lies inside ComfyUI's folders."""
        ...

    async def fetch(self, file: FileReference) -> bytes:
        """
        Raises:
            OutputGone: ComfyUI does not have the file (any more).
            ComfyUIAway: ComfyUI does not answer.
        """
        ...


class ImageSources(Protocol):
    """Which ComfyUI made what."""

    async def source_of(self, generation_id: UUID) -> ImageSource: ...
