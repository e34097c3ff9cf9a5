"""Rules that hold for every table."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from sqlalchemy import DateTime, Table

import sidecar
from sidecar.database import GUID, Base, DateTimeUTC
from sidecar.tables import Base as WholeBase

TABLES = list(Base.metadata.tables.values())


def test_tables_imports_every_model() -> None:
    """
    A model module that `tables.py` does not import would be missing from the metadata, and from the migrations' test.
    """
    known = set(WholeBase.metadata.tables)
    for module in pkgutil.walk_packages(sidecar.__path__, "sidecar."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)

    assert known == set(Base.metadata.tables)


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_id_is_a_uuid(table: Table) -> None:
    """
    Columns named `id`, and those that point at one, are UUIDs.
    """
    ids = [column for column in table.columns if column.name == "id" or column.name.endswith("_id")]

    assert [str(column) for column in ids if is_ours(column) and not isinstance(column.type, GUID)] == []


def is_ours(column: object) -> bool:
    """ComfyUI's own names for things are text."""
    return getattr(column, "name", "") not in {"client_id", "node_id"}


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_time_is_stored_in_utc(table: Table) -> None:
    """
    A time without a zone is refused before it is written.
    """
    times = [column for column in table.columns if isinstance(column.type, (DateTime, DateTimeUTC))]

    assert [str(column) for column in times if not isinstance(column.type, DateTimeUTC)] == []


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_every_foreign_key_has_an_index_or_a_reason(table: Table) -> None:
    """
    SQLite looks through the whole table for each check of a foreign key that no index begins with.
    """
    without_reason = {
        "images.owner_id",  # found by their generation; a person is never deleted while they have images
    }
    leading = {next(iter(index.columns.keys()), None) for index in table.indexes}
    leading |= {
        next(iter(constraint.columns.keys()), None)
        for constraint in table.constraints
        if hasattr(constraint, "columns")
    }
    bare = {str(key.parent) for key in table.foreign_keys if key.parent.name not in leading}

    assert bare <= without_reason
