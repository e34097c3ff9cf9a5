"""Who is recognised, at what cost, and when no longer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Update, event, select, update

from sidecar.accounts import recognition
from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.callers import LOCAL_OWNER, Caller, Role, Scope
from sidecar.accounts.credentials import Credentials
from sidecar.accounts.desk import Accounts
from sidecar.accounts.models import LOCAL_OWNER_ID, ApiToken, User, UserSession
from sidecar.accounts.people import Alteration, NewPerson
from sidecar.accounts.throttling import FOR_AN_ACCOUNT
from sidecar.database import Database
from sidecar.errors import AccountDisabled, CredentialsInvalid, NotLoggedIn, TooManyAttempts
from sidecar.identity import now
from sidecar.settings import Settings, read_settings

from .conftest import PASSWORD, AddPerson, another_process

HERE = "192.0.2.7"

NewSession = Callable[[User], Awaitable[Credentials]]


@pytest.fixture
def session_of(accounts: Accounts) -> NewSession:
    async def begin(user: User) -> Credentials:
        _caller, secret = await accounts.log_in.begin_session(user, address=HERE, user_agent="a browser")
        return Credentials(HERE, cookie=secret)

    return begin


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """What the database is asked."""
    seen: list[str] = []

    def take_down(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", take_down)
    yield seen
    event.remove(database.engine.sync_engine, "before_cursor_execute", take_down)


async def change(database: Database, statement: Update) -> None:
    async with database.writing() as session:
        await session.execute(statement)


async def test_a_session_costs_one_query_and_for_some_seconds_none(
    accounts: Accounts, add_person: AddPerson, session_of: NewSession, statements: list[str]
):
    """However many requests of a page come at once."""
    credentials = await session_of(await add_person("Ada"))
    statements.clear()
    callers = await asyncio.gather(*(accounts.recognition.caller_of(credentials) for _ in range(50)))
    callers.append(await accounts.recognition.caller_of(credentials))

    assert len(statements) == 1
    assert {(caller.name, caller.role, caller.scopes) for caller in callers} == {
        ("Ada", Role.MEMBER, frozenset({Scope.READ, Scope.SUBMIT}))
    }


async def test_that_somebody_was_there_is_written_once_a_minute(
    accounts: Accounts,
    add_person: AddPerson,
    session_of: NewSession,
    statements: list[str],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
):
    """Who reads does not write."""
    monkeypatch.setattr(recognition, "REMEMBERED_FOR_S", 0.0)
    credentials = await session_of(await add_person("Ada"))
    await change(database, update(UserSession).values(seen_at=now() - timedelta(seconds=70)))
    statements.clear()
    for _ in range(3):
        await accounts.recognition.caller_of(credentials)

    assert len([statement for statement in statements if statement.startswith("UPDATE sessions")]) == 1


@pytest.mark.parametrize(
    "aged",
    [{"seen_at": now() - timedelta(days=7, minutes=1)}, {"ends_at": now() - timedelta(seconds=1)}],
    ids=["idle", "absolute"],
)
async def test_a_session_ends_by_itself(
    accounts: Accounts, add_person: AddPerson, session_of: NewSession, database: Database, aged: dict[str, object]
):
    """After a week without a request, and after a month in any case."""
    credentials = await session_of(await add_person("Ada"))
    await change(database, update(UserSession).values(**aged))

    with pytest.raises(CredentialsInvalid):
        await accounts.recognition.caller_of(credentials)
    await accounts.sessions.forget_ended(None)
    async with database.reading() as session:
        assert (await session.scalars(select(UserSession))).all() == []


async def test_a_token_is_shown_as_bearer_or_basic_under_its_owners_name(accounts: Accounts, add_person: AddPerson):
    """Somebody else's name does not go with it."""
    ada = await add_person("Ada")
    _token, secret = await accounts.tokens.make(ada.id, "script", frozenset({Scope.READ}), None, COMMAND_LINE)

    def basic(name: str) -> str:
        return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()

    for header in (f"Bearer {secret}", basic("ada"), basic("ADA")):
        caller = await accounts.recognition.caller_of(Credentials(HERE, authorization=header))
        assert (caller.user_id, caller.scopes) == (ada.id, frozenset({Scope.READ}))
    for header in (basic("bob"), "Bearer gno_" + "x" * 43):
        with pytest.raises(CredentialsInvalid):
            await accounts.recognition.caller_of(Credentials(HERE, authorization=header))


async def test_a_token_ends_and_is_never_worth_more_than_its_owner(
    accounts: Accounts, add_person: AddPerson, database: Database
):
    """An administrator who becomes a member, or a guest, has no administrator's token in a drawer."""
    await add_person("Root", Role.ADMIN)
    ada = await add_person("Ada", Role.ADMIN)
    _token, secret = await accounts.tokens.make(ada.id, "script", frozenset(Scope), None, COMMAND_LINE)
    credentials = Credentials(HERE, token=secret)
    before = (await accounts.recognition.caller_of(credentials)).scopes
    await accounts.people.change(ada.id, Alteration(role=Role.MEMBER), COMMAND_LINE)
    after = (await accounts.recognition.caller_of(credentials)).scopes
    await change(database, update(ApiToken).values(expires_at=now() - timedelta(seconds=1)))
    accounts.recognition.forget(ada.id)

    assert (before, after) == (frozenset(Scope), frozenset({Scope.READ, Scope.SUBMIT}))
    with pytest.raises(CredentialsInvalid):
        await accounts.recognition.caller_of(credentials)


async def test_who_is_disabled_is_out_at_once(accounts: Accounts, add_person: AddPerson, session_of: NewSession):
    """Sessions for good, tokens and passwords as long as it lasts; and nothing of theirs is taken from the pack."""
    ada = await add_person("Ada")
    cookie = await session_of(ada)
    _token, secret = await accounts.tokens.make(ada.id, "script", frozenset({Scope.READ}), None, COMMAND_LINE)
    password = "Basic " + base64.b64encode(f"Ada:{PASSWORD}".encode()).decode()
    token, basic = Credentials(HERE, token=secret), Credentials(HERE, authorization=password)
    for credentials in (cookie, token, basic):
        await accounts.recognition.caller_of(credentials)
    await accounts.people.change(ada.id, Alteration(disabled=True), COMMAND_LINE)

    for credentials, error in ((cookie, CredentialsInvalid), (token, AccountDisabled), (basic, AccountDisabled)):
        with pytest.raises(error):
            await accounts.recognition.caller_of(credentials)
    with pytest.raises(AccountDisabled):
        await accounts.recognition.owner(ada.id)
    await accounts.people.change(ada.id, Alteration(disabled=False), COMMAND_LINE)
    assert (await accounts.recognition.caller_of(token)).user_id == ada.id
    assert await accounts.recognition.owner(ada.id) == ada.id
    with pytest.raises(CredentialsInvalid):
        await accounts.recognition.caller_of(cookie)


async def test_who_was_recognised_before_a_change_is_not_remembered_after_it(
    accounts: Accounts, add_person: AddPerson, session_of: NewSession, monkeypatch: pytest.MonkeyPatch
):
    """The answer of the database may be on its way when somebody is disabled."""
    ada = await add_person("Ada")
    credentials = await session_of(ada)
    look_up = accounts.recognition._look_up

    async def overtaken(*shown: object) -> object:
        caller = await look_up(*shown)  # type: ignore[arg-type]
        await accounts.people.change(ada.id, Alteration(disabled=True), COMMAND_LINE)
        return caller

    monkeypatch.setattr(accounts.recognition, "_look_up", overtaken)
    await accounts.recognition.caller_of(credentials)
    monkeypatch.undo()

    with pytest.raises(CredentialsInvalid):
        await accounts.recognition.caller_of(credentials)


async def test_without_credentials_nobody_is_let_in(accounts: Accounts):
    """But in open access, where everybody is the local owner."""
    with pytest.raises(NotLoggedIn):
        await accounts.recognition.caller_of(Credentials(HERE))
    with pytest.raises(AccountDisabled):
        await accounts.recognition.owner(None)


async def test_in_open_access_nobody_is_asked(database: Database, environment: dict[str, str], statements: list[str]):
    """Whoever is there is the local owner."""
    accounts = another_process(database, read_settings({**environment, "GENONAUT_ACCESS": "open"}))

    assert await accounts.recognition.caller_of(Credentials(HERE, cookie="whatever")) is LOCAL_OWNER
    assert await accounts.recognition.owner(None) == LOCAL_OWNER.user_id
    assert not await accounts.first_administrator.is_missing()
    assert statements == []


async def test_whom_a_proxy_names_has_an_account_from_then_on(database: Database, environment: dict[str, str]):
    """Once, however many requests come first; of the role and with the plan that the settings say."""
    said = {"GENONAUT_ACCESS": "proxy", "GENONAUT_PROXY_ROLE": "guest", "GENONAUT_DEFAULT_PLAN": "free"}
    settings: Settings = read_settings({**environment, **said})
    accounts = another_process(database, settings)
    named = [Credentials(HERE, forwarded_user=name) for name in ("ada@example.org", "ADA@example.org") * 3]
    callers = await asyncio.gather(*(accounts.recognition.caller_of(each) for each in named))

    assert len({caller.user_id for caller in callers}) == 1
    assert callers[0].role is Role.GUEST
    assert (await accounts.people.show(callers[0].user_id)).plan == "free"
    with pytest.raises(NotLoggedIn):
        await accounts.recognition.caller_of(Credentials(HERE, cookie="a session of old"))


async def test_behind_a_proxy_the_first_administrator_is_made_at_a_terminal(
    database: Database, environment: dict[str, str]
):
    """Nobody logs in there; by the name that the proxy says they are the administrator, who has what was there."""
    accounts = another_process(database, read_settings({**environment, "GENONAUT_ACCESS": "proxy"}))
    await accounts.people.add(NewPerson("Ada@example.org", Role.ADMIN), COMMAND_LINE)
    ada = await accounts.recognition.caller_of(Credentials(HERE, forwarded_user="ada@example.org"))

    assert (ada.user_id, ada.role) == (LOCAL_OWNER_ID, Role.ADMIN)


async def test_who_has_to_wait_does_not_learn_that_a_password_is_the_right_one(
    accounts: Accounts, add_person: AddPerson
):
    """Though its owner has just shown it elsewhere, and is let in there without another look at it."""
    ada = await add_person("Ada")

    async def showing(password: str, address: str) -> Caller:
        header = "Basic " + base64.b64encode(f"Ada:{password}".encode()).decode()
        return await accounts.recognition.caller_of(Credentials(address, authorization=header))

    await showing(PASSWORD, HERE)
    for _ in range(FOR_AN_ACCOUNT.free):
        with pytest.raises(CredentialsInvalid):
            await showing("a guess of fifteen", "198.51.100.9")

    with pytest.raises(TooManyAttempts):
        await showing(PASSWORD, "198.51.100.9")
    accounts.recognition.forget(ada.id)
    with pytest.raises(TooManyAttempts):
        await showing(PASSWORD, "198.51.100.9")
    assert (await showing(PASSWORD, HERE)).user_id == ada.id
