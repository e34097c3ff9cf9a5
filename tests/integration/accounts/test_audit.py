"""Who did what, from where: written with what it tells of, and never changed."""

from __future__ import annotations

import pytest
from integration.backends import both_databases
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from sidecar.accounts.audit import COMMAND_LINE, Action, Wanted
from sidecar.accounts.callers import Role
from sidecar.accounts.desk import Accounts
from sidecar.accounts.models import AuditEntry
from sidecar.accounts.people import Alteration
from sidecar.database import Database

from .conftest import API, PASSWORD, AddPerson, Browser, log_in


@both_databases
async def test_the_database_refuses_to_change_or_delete_an_entry(
    accounts: Accounts, add_person: AddPerson, database: Database
):
    """Whoever gets hold of a connection can add to it, and take nothing back."""
    await add_person("Ada")

    for statement in (update(AuditEntry).values(actor_name="somebody else"), delete(AuditEntry)):
        with pytest.raises(DBAPIError, match="audit entries are never changed"):
            async with database.engine.begin() as connection:
                await connection.execute(statement)
    entries, _cursor = await accounts.audit.page(Wanted(), limit=10, cursor=None)
    assert [(entry.action, entry.actor_name) for entry in entries] == [("account_made", "command line")]


async def test_log_ins_and_what_administrators_do_are_told(browser: Browser, add_person: AddPerson):
    """With whoever did it, whom it concerns, and the address; of a log-in that failed, not what was typed."""
    ada, bob = await add_person("Ada", Role.ADMIN), await add_person("Bob")
    for name in ("Bob", "my secret password"):
        await browser.post(f"{API}/sessions", json={"name": name, "password": "not this one at all"})
    await log_in(browser, "Ada")
    await browser.patch(f"{API}/admin/users/{bob.id}", json={"disabled": True})
    await browser.post(f"{API}/me/tokens", json={"name": "script", "scopes": ["read"]})
    whole = await browser.get(f"{API}/admin/audit")
    pages = [await browser.get(f"{API}/admin/audit", params={"user_id": str(bob.id), "limit": 2})]
    pages.append(
        await browser.get(
            f"{API}/admin/audit",
            params={"user_id": str(bob.id), "limit": 2, "cursor": pages[0].json()["next_cursor"]},
        )
    )

    told = [(each["action"], each["actor_name"], each["subject_id"], each["address"]) for each in whole.json()["items"]]
    assert told == [
        ("token_made", "Ada", str(ada.id), "192.0.2.7"),
        ("account_changed", "Ada", str(bob.id), "192.0.2.7"),
        ("account_disabled", "Ada", str(bob.id), "192.0.2.7"),
        ("logged_in", "Ada", str(ada.id), "192.0.2.7"),
        ("log_in_failed", "", None, "192.0.2.7"),
        ("log_in_failed", "", str(bob.id), "192.0.2.7"),
        ("account_made", "command line", str(bob.id), ""),
        ("account_made", "command line", str(ada.id), ""),
    ]
    assert "my secret password" not in whole.text
    assert PASSWORD not in whole.text
    of_bob = [each["action"] for page in pages for each in page.json()["items"]]
    assert of_bob == ["account_changed", "account_disabled", "log_in_failed", "account_made"]


async def test_entries_are_found_by_what_was_done(accounts: Accounts, add_person: AddPerson):
    """And by whom it concerns."""
    ada, bob = await add_person("Ada", Role.ADMIN), await add_person("Bob")
    await accounts.people.change(bob.id, Alteration(disabled=True), COMMAND_LINE)
    found = [
        await accounts.audit.page(wanted, limit=10, cursor=None)
        for wanted in (Wanted(action=Action.ACCOUNT_DISABLED), Wanted(user_id=ada.id), Wanted(since=bob.created_at))
    ]

    assert [len(entries) for entries, _cursor in found] == [1, 1, 3]
