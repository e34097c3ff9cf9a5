"""
Whose a file of ComfyUI's is: the name of a folder says so, or the record of who had it written.

The pack has every person's files written below `genonaut/<their id>/`. What lies elsewhere (previews, what nodes save
in ways of their own, what is older than accounts) is *loose*, and found again by a digest of its name.
"""

from __future__ import annotations

import hashlib
import re
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.gallery.models import Image
from sidecar.gallery.references import FileReference, FoundImage

PERSONS_FOLDER = re.compile(r"genonaut/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/|$)", re.IGNORECASE)
SOMEBODY_ELSES = "ComfyUI named a file that belongs to somebody else."


def owner_by_folder(reference: FileReference) -> UUID | None:
    """Whose folder it lies in; None where it lies in nobody's."""
    found = PERSONS_FOLDER.match(plain_path(reference))
    return UUID(found[1]) if found else None


def plain_path(reference: FileReference) -> str:
    """One spelling of the many that a disk may take for the same: Windows drops dots and spaces at the end of names."""
    steps = f"{reference.subfolder}/{reference.filename}".replace("\\", "/").split("/")
    return "/".join(filter(None, (step.rstrip(" .") for step in steps)))


def loose_name(reference: FileReference | None) -> str | None:
    """The digest under which a loose file is found again; None for one whose folder says whose it is."""
    if reference is None or owner_by_folder(reference) is not None:
        return None
    name = f"{reference.type}/{plain_path(reference)}"
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()


def without_foreign(found: FoundImage, owner_id: UUID) -> FoundImage:
    """A node may name any file as its output; one in somebody else's folder is not taken over."""
    if found.reference is None or owner_by_folder(found.reference) in {None, owner_id}:
        return found
    return FoundImage(found.node_id, None, reason=SOMEBODY_ELSES)


async def recorded_owner(session: AsyncSession, reference: FileReference) -> UUID | None:
    """
    Whose file that is.

    Names of loose ones come up again, in another ComfyUI or once a folder was emptied: what several people have had is
    nobody's.
    """
    name = loose_name(reference)
    if name is None:
        return owner_by_folder(reference)
    query = select(Image.owner_id, Image.is_withheld).where(Image.loose_file == name).distinct().limit(2)
    found = [(owner_id, is_withheld) for owner_id, is_withheld in await session.execute(query)]
    # What is withheld from its owner is nobody's, too, as far as ComfyUI asks.
    return found[0][0] if len(found) == 1 and not found[0][1] else None
