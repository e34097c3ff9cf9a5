"""Workflows in the database: compressed, and once for all generations that share one."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.generations.models import Workflow
from sidecar.generations.schemas import WorkflowView

HASH_BYTES = 32


def pack_workflow(workflow: dict[str, Any], ui_workflow: dict[str, Any] | None) -> Workflow:
    """Compress a workflow; equal workflows get equal hashes."""
    content = msgspec.json.encode(WorkflowView(workflow, ui_workflow), order="deterministic")
    return Workflow(hash=hashlib.blake2b(content, digest_size=HASH_BYTES).digest(), content=zlib.compress(content))


def unpack_workflow(row: Workflow) -> WorkflowView:
    return msgspec.json.decode(zlib.decompress(row.content), type=WorkflowView)


async def store_workflow(session: AsyncSession, row: Workflow) -> None:
    if await session.scalar(select(Workflow.hash).where(Workflow.hash == row.hash)) is None:
        session.add(row)
        # Before the generation that refers to it: SQLAlchemy knows of no relation to order the two by.
        await session.flush()
