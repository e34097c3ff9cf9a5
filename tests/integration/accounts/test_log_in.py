"""Logging in and out, by HTTP."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from sidecar.accounts import throttling
from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.callers import Role
from sidecar.accounts.desk import Accounts
from sidecar.accounts.first_administrator import secret_of
from sidecar.accounts.models import KnownAddress, LogInFailures
from sidecar.accounts.passwords import Passwords
from sidecar.database import Database
from sidecar.errors import CredentialsInvalid, PasswordWrong, TooManyAttempts
from sidecar.identity import now
from sidecar.settings import Settings, read_settings

from .conftest import ANOTHER, API, PAIRED, PASSWORD, SECRET, AddPerson, Browser, browser_at, log_in

ADDRESS = "192.0.2.7"


async def needs_first_administrator(browser: Browser) -> bool:
    """As the pack asks it."""
    return bool((await browser.get("/internal/access", auth=PAIRED)).json()["needs_first_administrator"])


async def test_the_way_from_the_first_administrator_to_the_first_guest(browser: Browser, accounts: Accounts):
    """A link in the log, an invite, an account, log out, log in again."""
    instruction = accounts.first_administrator.instruction()
    assert f"http://127.0.0.1:9/genonaut/login#first={secret_of(SECRET)}" in instruction
    asked = {"secret": secret_of(SECRET), "name": "Ada", "password": PASSWORD}
    needs = [await needs_first_administrator(browser)]
    first = await browser.post(f"{API}/first-administrator", json=asked)
    needs.append(await needs_first_administrator(browser))
    again = await browser.post(f"{API}/first-administrator", json={**asked, "name": "Eve"})
    made = await browser.post(f"{API}/admin/invites", json={"role": "guest"})
    browser.cookies.clear()
    invite = {"code": made.json()["code"]}
    terms = await browser.post(f"{API}/invites/look", json=invite)
    accepted = await browser.post(f"{API}/invites/accept", json={**invite, "name": "Bob", "password": ANOTHER})
    refused = await browser.get(f"{API}/admin/users")
    left = await browser.delete(f"{API}/sessions/current")
    gone = await browser.get(f"{API}/me")
    await log_in(browser, " BOB ", ANOTHER)
    me = (await browser.get(f"{API}/me")).json()

    assert needs == [True, False]
    assert (first.status_code, first.json()["role"]) == (201, "admin")
    assert (again.status_code, again.json()["code"]) == (409, "administrator_there")
    assert (terms.status_code, terms.json()["role"]) == (200, "guest")
    assert (accepted.status_code, refused.status_code, left.status_code, gone.status_code) == (201, 403, 204, 401)
    assert (me["name"], me["role"], me["scopes"], me["access"]) == ("Bob", "guest", ["read", "submit"], "accounts")


async def test_no_script_reads_the_cookie_and_no_other_site_sends_it(browser: Browser, add_person: AddPerson):
    """Behind TLS, no wire shows it either."""
    await add_person("Ada")
    asked = {"name": "Ada", "password": PASSWORD}
    plain = await browser.post(f"{API}/sessions", json=asked)
    forged = await browser.post(f"{API}/sessions", json=asked, headers={"X-Forwarded-Proto": "https"})

    for answer in (plain, forged):  # who says so is no trusted proxy
        cookie = answer.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=2592000"))
        assert "Secure" not in cookie


async def test_a_wrong_password_and_an_unknown_name_look_the_same(browser: Browser, add_person: AddPerson):
    """Nobody learns who has an account."""
    await add_person("Ada")
    answers = [
        await browser.post(f"{API}/sessions", json={"name": name, "password": "not this one at all"})
        for name in ("Ada", "Nobody")
    ]
    shown = [{**answer.json(), "request_id": ""} for answer in answers]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert shown[0] == shown[1]


@pytest.fixture
def counted_hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that was hashed to be compared."""
    looked_at: list[str] = []
    fits = Passwords.fits

    async def counted(passwords: Passwords, known: str | None, password: str) -> bool:
        looked_at.append(password)
        return await fits(passwords, known, password)

    monkeypatch.setattr(Passwords, "fits", counted)
    return looked_at


async def test_of_many_tries_at_the_same_moment_only_the_free_ones_are_looked_at(
    accounts: Accounts, add_person: AddPerson, counted_hashes: list[str], monkeypatch: pytest.MonkeyPatch
):
    """They are counted before they are looked at."""
    moment = now()
    monkeypatch.setattr(throttling, "now", lambda: moment)  # else, on a busy machine, the first ones are a second old
    await add_person("Ada")
    tries = [accounts.log_in.whose("Ada", f"wrong {number}", address=ADDRESS) for number in range(12)]
    errors = await asyncio.gather(*tries, return_exceptions=True)

    assert len(counted_hashes) == 5
    assert [type(error) for error in errors].count(PasswordWrong) == 5
    waits = [error.retry_after_s for error in errors if isinstance(error, TooManyAttempts)]
    assert waits == [1] * 7


async def test_a_password_that_comes_with_every_request_is_hashed_once(
    accounts: Accounts, add_person: AddPerson, counted_hashes: list[str]
):
    """And no longer good as soon as it is another one."""
    ada = await add_person("Ada")
    for _ in range(3):
        assert (await accounts.log_in.whose_again("Ada", PASSWORD, address=ADDRESS)).id == ada.id
    assert counted_hashes == [PASSWORD]
    await accounts.people.set_password(ada.id, ANOTHER, COMMAND_LINE)

    with pytest.raises(PasswordWrong):
        await accounts.log_in.whose_again("Ada", PASSWORD, address=ADDRESS)
    assert (await accounts.log_in.whose_again("Ada", ANOTHER, address=ADDRESS)).id == ada.id


async def test_a_good_password_begins_anew_and_another_account_is_not_concerned(
    accounts: Accounts, add_person: AddPerson
):
    """Four slips of the finger cost nothing, again and again."""
    ada, bob = await add_person("Ada"), await add_person("Bob")
    for _ in range(2):
        for _ in range(4):
            with pytest.raises(CredentialsInvalid):
                await accounts.log_in.whose("Ada", "wrong", address=ADDRESS)
        assert (await accounts.log_in.whose("Ada", PASSWORD, address=ADDRESS)).id == ada.id

    assert (await accounts.log_in.whose("Bob", PASSWORD, address=ADDRESS)).id == bob.id


async def test_whoever_tries_many_names_waits_too(accounts: Accounts, add_person: AddPerson):
    """One password for everybody is tried from one address; the others are not concerned."""
    ada = await add_person("Ada")
    for number in range(20):
        with pytest.raises(CredentialsInvalid):
            await accounts.log_in.whose(f"somebody {number}", "wrong", address=ADDRESS)

    with pytest.raises(TooManyAttempts):
        await accounts.log_in.whose("Ada", PASSWORD, address=ADDRESS)
    assert (await accounts.log_in.whose("Ada", PASSWORD, address="192.0.2.8")).id == ada.id


async def test_nobody_is_kept_out_where_they_have_logged_in_before(
    accounts: Accounts, add_person: AddPerson, monkeypatch: pytest.MonkeyPatch
):
    """
    Whoever has many addresses can keep an account waiting for good; but not its owner where they are known, which holds
    for 30 days. Guesses from there are counted, too.
    """
    moment = now()
    monkeypatch.setattr(throttling, "now", lambda: moment)
    ada = await add_person("Ada")
    await accounts.log_in.begin_session(ada, address=ADDRESS, user_agent="")
    await fail(accounts, "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5")
    at_home = [await accounts.log_in.whose("ada", PASSWORD, address=ADDRESS) for _ in range(2)]
    with pytest.raises(TooManyAttempts):  # that they were let in gives nobody else new tries
        await accounts.log_in.whose("Ada", PASSWORD, address="198.51.100.6")
    await fail(accounts, *[ADDRESS] * 5)
    with pytest.raises(TooManyAttempts):
        await accounts.log_in.whose("Ada", PASSWORD, address=ADDRESS)
    moment += throttling.KNOWN_FOR
    await fail(accounts, "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.5")
    with pytest.raises(TooManyAttempts):
        await accounts.log_in.whose("Ada", PASSWORD, address=ADDRESS)

    assert [user.id for user in at_home] == [ada.id, ada.id]


async def test_what_is_over_is_forgotten(accounts: Accounts, add_person: AddPerson, database: Database):
    """An hour after the last failure, 30 days after the last log-in from somewhere."""
    ada = await add_person("Ada")
    await accounts.log_in.begin_session(ada, address=ADDRESS, user_agent="")
    await fail(accounts, ADDRESS)
    await age(database, LogInFailures, throttling.FORGOTTEN_AFTER)
    await age(database, KnownAddress, throttling.KNOWN_FOR - timedelta(minutes=1))
    await accounts.throttle.forget_old(None)
    async with database.reading() as session:
        left = [await session.scalar(select(func.count()).select_from(kind)) for kind in (LogInFailures, KnownAddress)]
    await age(database, KnownAddress, timedelta(minutes=1))
    await accounts.throttle.forget_old(None)

    async with database.reading() as session:
        assert (left, (await session.scalars(select(KnownAddress))).all()) == ([0, 1], [])


async def age(database: Database, kind: type[Any], by: timedelta) -> None:
    async with database.writing() as session:
        for row in await session.scalars(select(kind)):
            row.last_at -= by


async def fail(accounts: Accounts, *addresses: str) -> None:
    """Try a wrong password for Ada from each of them."""
    for address in addresses:
        with pytest.raises(PasswordWrong):
            await accounts.log_in.whose("Ada", "wrong", address=address)


async def test_another_password_ends_all_other_sessions(browser: Browser, accounts: Accounts, add_person: AddPerson):
    """Whoever had got hold of the old one is out."""
    await add_person("Ada")
    await log_in(browser, "Ada")
    elsewhere = browser.cookies["genonaut_session"]
    browser.cookies.clear()
    await log_in(browser, "Ada")
    wrong = await browser.put(f"{API}/me/password", json={"current": "not this one at all", "new": ANOTHER})
    weak = await browser.put(f"{API}/me/password", json={"current": PASSWORD, "new": "Ada Ada Ada Ada 1815"})
    changed = await browser.put(f"{API}/me/password", json={"current": PASSWORD, "new": ANOTHER})
    here = await browser.get(f"{API}/me")
    browser.cookies.clear()
    there = await browser.get(f"{API}/me", headers={"Cookie": f"genonaut_session={elsewhere}"})

    assert [answer.status_code for answer in (wrong, weak, changed, here, there)] == [401, 400, 204, 200, 401]
    assert weak.json()["errors"][0]["field"] == "new"
    await log_in(browser, "Ada", ANOTHER)


@pytest.mark.parametrize("access", ["open", "proxy"])
async def test_where_nobody_logs_in_it_is_said(environment: dict[str, str], access: str):
    """And not with a 404, or as if the password were wrong."""
    async with browser_at(read_settings({**environment, "GENONAUT_ACCESS": access})) as browser:
        answer = await browser.post(f"{API}/sessions", json={"name": "Ada", "password": PASSWORD})

    assert (answer.status_code, answer.json()["code"]) == (409, "no_log_in")


async def test_a_guest_makes_no_tokens_and_with_a_token_nobody_touches_how_its_owner_is_let_in(
    browser: Browser, add_person: AddPerson
):
    """A token that leaks must be worth no more than itself, and not lock its owner out."""
    await add_person("Ada")
    await add_person("Gus", Role.GUEST)
    wanted = {"name": "script", "scopes": ["read", "submit"]}
    await log_in(browser, "Gus")
    by_guest = await browser.post(f"{API}/me/tokens", json=wanted)
    await log_in(browser, "Ada")
    for_more = await browser.post(f"{API}/me/tokens", json={"name": "script", "scopes": ["admin"]})
    made = (await browser.post(f"{API}/me/tokens", json=wanted)).json()
    browser.cookies.clear()
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    tries: list[tuple[str, str, Any]] = [
        ("POST", "/me/tokens", wanted),
        ("DELETE", f"/me/tokens/{made['token']['id']}", None),
        ("DELETE", f"/me/sessions/{made['token']['id']}", None),
        ("DELETE", "/me/sessions", None),
        ("PUT", "/me/password", {"current": PASSWORD, "new": ANOTHER}),
    ]
    by_token = [await browser.request(how, API + path, json=body, headers=bearer) for how, path, body in tries]
    shown = (await browser.get(f"{API}/me/tokens", headers=bearer)).text
    await log_in(browser, "Ada")
    revoked = await browser.delete(f"{API}/me/tokens/{made['token']['id']}")
    browser.cookies.clear()
    after = await browser.get(f"{API}/me", headers=bearer)

    assert [answer.status_code for answer in (by_guest, for_more)] == [403, 400]
    assert {answer.json()["code"] for answer in by_token} == {"not_with_token"}
    assert made["secret"] not in shown
    assert (revoked.status_code, after.status_code) == (204, 401)


async def test_the_link_for_the_first_administrator_is_the_same_in_every_process(settings: Settings):
    """Behind a balancer, another process answers than the one whose log was read."""
    assert secret_of(settings.pairing_secret) == secret_of(SECRET)
    assert secret_of("another") != secret_of(SECRET)


async def test_no_session_begins_with_a_password_that_is_none_any_more(accounts: Accounts, add_person: AddPerson):
    """It may have been changed between the look at it and the session's first moment, and that ended all sessions."""
    ada = await add_person("Ada")
    shown = await accounts.log_in.whose("Ada", PASSWORD, address=ADDRESS)
    await accounts.people.set_password(ada.id, ANOTHER, COMMAND_LINE)

    with pytest.raises(PasswordWrong):
        await accounts.log_in.begin_session(shown, address=ADDRESS, user_agent="")
    assert await accounts.sessions.list(ada.id) == []
