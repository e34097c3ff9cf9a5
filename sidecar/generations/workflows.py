"""Workflows in the database: compressed, and once for all generations that share one."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import msgspec
from sqlalchemy import LargeBinary, exists, insert, literal, select
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
    """Write it down unless it is there. At once: SQLAlchemy knows of no relation that would put it first."""
    known = exists().where(Workflow.hash == row.hash)
    values = select(literal(row.hash, LargeBinary), literal(row.content, LargeBinary)).where(~known)
    await session.execute(insert(Workflow).from_select(["hash", "content"], values))
