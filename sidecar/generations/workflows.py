"""Workflows in the database: compressed, and once for all generations that share one."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import JSON, LargeBinary, bindparam, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from sidecar.comfyui.model_lists import node_classes
from sidecar.comfyui.own_nodes import OWN_NODES
from sidecar.database import table_of
from sidecar.generations.models import Workflow
from sidecar.generations.schemas import WorkflowView

HASH_BYTES = 32

new_hash = bindparam("new_hash", type_=LargeBinary)
STORE = insert(table_of(Workflow)).from_select(
    ["hash", "node_classes", "content"],
    select(new_hash, bindparam("new_classes", type_=JSON), bindparam("new_content", type_=LargeBinary)).where(
        ~exists().where(Workflow.hash == new_hash)
    ),
)


class Packed(NamedTuple):
    """A row of `workflows`."""

    hash: bytes
    node_classes: list[str]
    content: bytes


def pack_workflow(workflow: dict[str, Any], ui_workflow: dict[str, Any] | None) -> Packed:
    """Compress a workflow; equal workflows get equal hashes."""
    content = msgspec.json.encode(WorkflowView(workflow, ui_workflow), order="deterministic")
    return Packed(
        hash=hashlib.blake2b(content, digest_size=HASH_BYTES).digest(),
        node_classes=sorted(node_classes(workflow) - OWN_NODES),
        content=zlib.compress(content),
    )


def unpack_workflow(row: Workflow) -> WorkflowView:
    return msgspec.json.decode(zlib.decompress(row.content), type=WorkflowView)


async def store_workflows(session: AsyncSession, rows: Iterable[Packed]) -> None:
    """Write down those that are not there. At once: SQLAlchemy knows of no relation that would put them first."""
    new = [{"new_hash": row.hash, "new_classes": row.node_classes, "new_content": row.content} for row in rows]
    await session.execute(STORE, new)
