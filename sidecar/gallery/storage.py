"""Where the bytes of images and thumbnails lie: one folder on this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from sidecar.errors import StorageUnavailable

CHUNK_BYTES = 256 * 1024  # one piece of a stream: large enough to be quick, small enough to wait for a slow browser


def image_key(image_id: UUID, suffix: str) -> str:
    """Where an image lies. `suffix` begins with a dot."""
    return f"images/{shard(image_id)}/{image_id}{suffix}"


def thumbnail_key(image_id: UUID, size: str) -> str:
    return f"thumbnails/{shard(image_id)}/{image_id}.{size}.webp"


def shard(image_id: UUID) -> str:
    """256 folders. From the end of the id, which is random; its beginning is the time, the same for all of an hour."""
    return image_id.hex[-2:]


class ImageStore:
    """
    Keeps bytes under keys. One a process.

    Every write is atomic, so a key is there with all of its bytes or not at all, and may be repeated.
    Every method raises `StorageUnavailable` where the disk does not do what is asked of it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with self._as_storage_errors():
            folder.mkdir(parents=True, exist_ok=True)
            self._store = LocalStore(folder)

    async def put(self, key: str, content: bytes) -> None:
        with self._as_storage_errors():
            await obstore.put_async(self._store, key, content)

    def path_of(self, key: str) -> Path:
        """The file under this key, for readers that want a file rather than its bytes."""
        return self.folder / key

    async def adopt(self, key: str, path: Path, *, may_link: bool) -> None:
        """
        Take over a file: as a copy or, if it may be one and the file system can do that, as a second name of it.

        A second name shares whatever is written into the file later. It is for files that are never written again.

        Raises:
            FileNotFoundError: The file is not there (any more).
        """
        source = await asyncio.to_thread(path.resolve, strict=True)
        with self._as_storage_errors():
            if not (may_link and await asyncio.to_thread(link, source, self.path_of(key))):
                await obstore.put_async(self._store, key, source)

    async def has(self, key: str) -> bool:
        with self._as_storage_errors():
            try:
                await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return False
            return True

    async def read(self, key: str) -> bytes:
        """
        Raises:
            FileNotFoundError: Nothing lies under this key.
        """
        with self._as_storage_errors():
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())

    async def stream(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """
        The bytes from `start` up to and without `end`, piece by piece. The file is open when this returns.

        Raises:
            FileNotFoundError: Nothing lies under this key.
        """
        with self._as_storage_errors():
            found = await obstore.get_async(self._store, key, options={"range": (start, end)})
        return self._pieces(found)

    async def _pieces(self, found: obstore.GetResult) -> AsyncIterator[bytes]:
        with self._as_storage_errors():
            async for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)

    async def delete(self, key: str) -> None:
        """Forget what lies under this key; nothing happens if nothing does."""
        with self._as_storage_errors():
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                return

    @contextmanager
    def _as_storage_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as exc:
            raise StorageUnavailable(
                f"The folder of the images, {self.folder}, cannot be used: {exc}",
                help=("Look whether the disk is full and whether the folder can be written.",),
            ) from exc


def link(source: Path, target: Path) -> bool:
    """
    Give a file a second name; False where that is not possible (another file system, or one without hard links).

    A link is there with all its bytes from the first moment. Never through a temporary name: renaming one name of a
    file to another name of it does nothing, and the temporary one would stay.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return target.samefile(source)
    except OSError:
        return False
    return True
