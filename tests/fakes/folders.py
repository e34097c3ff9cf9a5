"""ComfyUI's folders as the client gives access to them, well-behaved and not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from uuid import UUID

from PIL import Image as Pictures
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.errors import ComfyUIUnreachable, OutputGone
from sidecar.gallery.references import FileReference


class Folder:
    """ComfyUI's files on this machine, as the client gives access to them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    async def source_of(self, generation_id: UUID) -> Folder:
        """There is one ComfyUI, and it made everything."""
        del generation_id
        return self

    def path_of(self, file: FileReference) -> Path:
        return self.root / file.type / file.subfolder / file.filename

    def local_path(self, file: FileReference) -> Path | None:
        path = self.path_of(file)
        return path if path.is_file() else None

    async def fetch(self, file: FileReference) -> bytes:
        raise OutputGone

    def write(self, filename: str, content: bytes, *, kind: str = "output", subfolder: str = "") -> dict[str, str]:
        reference = FileReference(filename, subfolder, kind)
        path = self.path_of(reference)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return {"filename": filename, "subfolder": subfolder, "type": kind}


class RemoteFolder(Folder):
    """ComfyUI on another machine: its files come by HTTP alone."""

    def local_path(self, file: FileReference) -> Path | None:
        return None

    async def fetch(self, file: FileReference) -> bytes:
        if not self.path_of(file).is_file():
            raise OutputGone
        return self.path_of(file).read_bytes()


class UnreachableFolder(RemoteFolder):
    """Gives the first `answers` files and is away from then on, until it is told otherwise."""

    def __init__(self, root: Path, *, answers: int) -> None:
        super().__init__(root)
        self.answers = answers

    async def fetch(self, file: FileReference) -> bytes:
        if self.answers <= 0:
            raise ComfyUIUnreachable
        self.answers -= 1
        return await super().fetch(file)


class Announcements:
    """Remembers what was announced; may be told to die instead, as a killed process would."""

    def __init__(self) -> None:
        self.made: list[UUID] = []
        self.dies = False

    async def note(self, session: AsyncSession, generation_id: UUID) -> None:
        """Here nobody asks when a generation was changed."""

    async def tell(self, generation_id: UUID) -> None:
        if self.dies:
            raise Killed
        self.made.append(generation_id)


class Killed(BaseException):
    """The process ends here: nothing after this line has happened."""


def png(width: int = 300, height: int = 200, *, mode: str = "RGB", **options: Any) -> bytes:
    picture = Pictures.linear_gradient("L").resize((width, height)).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **options)
    return buffer.getvalue()
