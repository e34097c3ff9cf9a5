"""Accounts: made once, with an administrator always left, and deleted only where nothing is theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from integration.backends import both_databases

from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.callers import Role
from sidecar.accounts.desk import Accounts
from sidecar.accounts.first_administrator import secret_of
from sidecar.accounts.invites import Terms
from sidecar.accounts.models import LOCAL_OWNER_ID
from sidecar.accounts.people import Alteration, NewPerson
from sidecar.database import Database
from sidecar.errors import (
    AdministratorThere,
    InviteUnknown,
    LastAdministrator,
    NameTaken,
    PasswordUnfit,
    PlanUnknown,
    StillEnabled,
    StillOwner,
)
from sidecar.generations.models import Workflow
from sidecar.identity import now, uuid7
from sidecar.settings import Settings
from sidecar.tables import Generation

from .conftest import PASSWORD, SECRET, AddPerson, another_process

HERE = "192.0.2.7"


@pytest.fixture
async def both(accounts: Accounts, settings: Settings) -> AsyncIterator[list[Accounts]]:
    """Two processes on one database, each with connections of its own."""
    of_the_other = Database(settings.database_url)
    yield [accounts, another_process(of_the_other, settings)]
    await of_the_other.close()


@both_databases
async def test_an_invite_makes_exactly_as_many_accounts_as_it_is_for(both: list[Accounts]):
    """However many try in the same moment, in two processes."""
    _invite, code = await both[0].invites.make(terms(uses=4), COMMAND_LINE)
    tries = [both[n % 2].invites.accept(code, f"person {n}", PASSWORD, address=HERE) for n in range(8)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes].count(InviteUnknown) == 4
    assert len(await both[0].people.list()) == 4
    assert await both[0].invites.list() == []


async def test_who_does_not_get_in_does_not_use_up_an_invite(accounts: Accounts, add_person: AddPerson):
    """A name that somebody has, or a password that will not do, can be mended."""
    await add_person("Ada")
    _invite, code = await accounts.invites.make(terms(), COMMAND_LINE)
    with pytest.raises(NameTaken):
        await accounts.invites.accept(code, "ADA", PASSWORD, address=HERE)
    with pytest.raises(PasswordUnfit):
        await accounts.invites.accept(code, "Bob", "password123456789", address=HERE)

    assert (await accounts.invites.accept(code, "Bob", PASSWORD, address=HERE)).role == "guest"


async def test_an_invite_that_is_over_or_taken_back_opens_nothing(accounts: Accounts):
    """The same answer as for one that never was."""
    taken_back, code = await accounts.invites.make(terms(), COMMAND_LINE)
    await accounts.invites.take_back(taken_back.id, COMMAND_LINE)

    for each in (code, "never given"):
        with pytest.raises(InviteUnknown):
            await accounts.invites.accept(each, "Bob", PASSWORD, address=HERE)


@both_databases
async def test_there_is_one_first_administrator_who_has_what_was_there_before(both: list[Accounts]):
    """Of several who follow the link in the same moment, in two processes, one is it: the local owner."""
    secret = secret_of(SECRET)
    tries = [both[n % 2].first_administrator.make(secret, f"admin {n}", PASSWORD, address=HERE) for n in range(6)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes].count(AdministratorThere) == 5
    assert [user.id for user in await both[0].people.list()] == [LOCAL_OWNER_ID]
    assert not await both[1].first_administrator.is_missing()


async def test_there_is_always_an_administrator_left_who_can_log_in(accounts: Accounts, add_person: AddPerson):
    """Nobody locks everybody out, not even themselves."""
    ada, bob = await add_person("Ada", Role.ADMIN), await add_person("Bob", Role.ADMIN)
    await accounts.people.change(bob.id, Alteration(disabled=True), COMMAND_LINE)

    for alteration in (Alteration(disabled=True), Alteration(role=Role.MEMBER)):
        with pytest.raises(LastAdministrator):
            await accounts.people.change(ada.id, alteration, COMMAND_LINE)
    await accounts.people.change(ada.id, Alteration(name="Ada Lovelace", plan="premium"), COMMAND_LINE)
    await accounts.people.change(bob.id, Alteration(disabled=False), COMMAND_LINE)
    assert (
        await accounts.people.change(ada.id, Alteration(role=Role.MEMBER), COMMAND_LINE)
    ).user.name == "Ada Lovelace"


async def test_nobody_has_a_plan_that_there_is_not(accounts: Accounts, add_person: AddPerson):
    """At every door; whoever asks is told which there are."""
    ada = await add_person("Ada")
    terms = Terms(Role.MEMBER, "gold", 1, now() + timedelta(days=1))

    for door in (
        accounts.people.add(NewPerson("Bob", plan="gold"), COMMAND_LINE),
        accounts.people.change(ada.id, Alteration(plan="gold"), COMMAND_LINE),
        accounts.invites.make(terms, COMMAND_LINE),
    ):
        with pytest.raises(PlanUnknown, match="free, premium, standard, unlimited"):
            await door


@both_databases
async def test_a_name_is_given_once_however_it_is_written(accounts: Accounts):
    """Of several who want it in the same moment, one has it."""
    tries = [accounts.people.add(NewPerson(name), COMMAND_LINE) for name in ("Zoe\u0308", "zo\u00cb", " ZO\u00cb ")]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes].count(NameTaken) == 2


async def test_an_account_is_disabled_first_and_deleted_only_where_nothing_is_theirs(
    accounts: Accounts, add_person: AddPerson, database: Database
):
    """Whose an image is must remain true. Their sessions and tokens go with an account."""
    ada, bob = await add_person("Ada"), await add_person("Bob")
    await accounts.log_in.begin_session(ada, address=HERE, user_agent="")
    await write_generation(database, bob.id)
    with pytest.raises(StillEnabled):
        await accounts.people.delete(ada.id, COMMAND_LINE)
    for user in (ada, bob):
        await accounts.people.change(user.id, Alteration(disabled=True), COMMAND_LINE)

    await accounts.people.delete(ada.id, COMMAND_LINE)
    with pytest.raises(StillOwner):
        await accounts.people.delete(bob.id, COMMAND_LINE)
    assert [user.name for user in await accounts.people.list()] == ["Bob"]


def terms(uses: int = 1) -> Terms:
    return Terms(Role.GUEST, "standard", uses, now() + timedelta(days=1))


async def write_generation(database: Database, owner_id: UUID) -> None:
    generation_id, at = uuid7(), now()
    async with database.writing() as session:
        session.add(Workflow(hash=bytes(32), content=b""))
        await session.flush()
        said = {"id": generation_id, "number": 1, "owner_id": owner_id, "state": "completed", "source": "page"}
        session.add(Generation(**said, workflow_hash=bytes(32), submission={}, created_at=at, updated_at=at))
