"""What the pack asks with the pairing secret: who is asking it, and whose a prompt is."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from comfy_nodes import credentials
from sidecar.accounts import authentication
from sidecar.accounts.audit import COMMAND_LINE, Action, Wanted
from sidecar.accounts.callers import Scope
from sidecar.accounts.desk import Accounts
from sidecar.accounts.models import LogInFailures, User
from sidecar.accounts.people import Alteration
from sidecar.accounts.throttling import key
from sidecar.database import Database
from sidecar.generations.models import Generation
from sidecar.settings import read_settings

from .conftest import PAIRED, AddPerson, Browser, browser_at

WORKFLOW = {"1": {"class_type": "EmptyImage", "inputs": {}}}
PACK, PROXY, STRANGER = "192.0.2.7", "10.0.0.2", "192.0.2.66"


async def test_the_pack_hears_who_shows_it_what(browser: Browser, accounts: Accounts, add_person: AddPerson):
    """By a session's cookie and by a token; and why somebody is not let in."""
    ada = await add_person("Ada")
    _caller, cookie = await accounts.log_in.begin_session(ada, address="", user_agent="")
    _token, token = await accounts.tokens.make(ada.id, "script", frozenset({Scope.READ}), None, COMMAND_LINE)

    async def asked(**shown: Any) -> tuple[int, str, list[str]]:
        answer = await browser.post("/internal/callers", json={"address": STRANGER, **shown}, auth=PAIRED)
        told = answer.json()
        return answer.status_code, told.get("name") or told["code"], told.get("scopes", [])

    assert await asked(cookies={"genonaut_session": cookie}) == (200, "Ada", ["read", "submit"])
    assert await asked(token=token) == (200, "Ada", ["read"])
    assert await asked(authorization=f"Bearer {token}") == (200, "Ada", ["read"])
    assert await asked() == (401, "not_logged_in", [])
    assert await asked(cookies={"genonaut_session": "of old"}) == (401, "credentials_invalid", [])
    assert await asked(forwarded_user="Ada") == (401, "not_logged_in", [])
    await accounts.people.change(ada.id, Alteration(disabled=True), COMMAND_LINE)
    assert await asked(token="gno_never given") == (401, "credentials_invalid", [])


@pytest.mark.parametrize(
    ("address", "forwarded_for", "name"),
    [(PROXY, STRANGER, "ada@example.org"), (STRANGER, PROXY, None), (STRANGER, None, None)],
)
async def test_only_a_trusted_proxy_says_who_somebody_is(
    environment: dict[str, str], address: str, forwarded_for: str | None, name: str | None
):
    """Whoever speaks to ComfyUI directly can write the same header."""
    trusting = {"GENONAUT_ACCESS": "proxy", "GENONAUT_TRUSTED_PROXIES": PROXY}
    headers = {"X-Forwarded-For": forwarded_for} if forwarded_for else {}
    async with browser_at(read_settings({**environment, **trusting})) as browser:
        shown = {"address": address, "forwarded_user": "ada@example.org"}
        answer = await browser.post("/internal/callers", json=shown, headers=headers, auth=PAIRED)

    assert answer.json().get("name") == name


@pytest.mark.parametrize(
    ("address", "forwarded_for", "counted"),
    [(PROXY, f"127.0.0.1, {STRANGER}", STRANGER), (STRANGER, "192.0.2.1", STRANGER), (PROXY, None, PROXY)],
)
async def test_failures_count_for_the_address_from_which_they_come(
    environment: dict[str, str], database: Database, address: str, forwarded_for: str | None, counted: str
):
    """Not for the proxy that everybody comes through, and not for one that somebody made up."""
    headers = {"X-Forwarded-For": forwarded_for} if forwarded_for else {}
    async with browser_at(read_settings({**environment, "GENONAUT_TRUSTED_PROXIES": PROXY})) as browser:
        shown = {"address": address, "authorization": "Basic YWRhOndyb25n"}
        answer = await browser.post("/internal/callers", json=shown, headers=headers, auth=PAIRED)

    assert answer.json()["code"] == "credentials_invalid"
    async with database.reading() as session:
        assert key("address", counted) in (await session.scalars(select(LogInFailures.key))).all()


@pytest.mark.parametrize(
    ("asked", "counts"),
    [
        ({"address": PROXY, "forwarded_proto": "https"}, "__Host-genonaut_session"),
        ({"address": PROXY, "forwarded_proto": "wss"}, "__Host-genonaut_session"),
        ({"address": PROXY, "forwarded_proto": "http"}, "genonaut_session"),
        ({"address": PROXY}, "genonaut_session"),
        ({"address": STRANGER, "forwarded_proto": "https"}, "genonaut_session"),
        ({"address": STRANGER, "forwarded_proto": "http", "scheme": "https"}, "__Host-genonaut_session"),
    ],
)
async def test_which_cookie_counts_follows_from_how_a_request_came(
    environment: dict[str, str], accounts: Accounts, add_person: AddPerson, asked: dict[str, str], counts: str
):
    """For the pack as for the API behind it, and never from what is there: a sibling's page can plant the plain one."""
    ada, eve = await add_person("Ada"), await add_person("Eve")
    cookies = {name: await begun(accounts, ada if name == counts else eve) for name in credentials.SESSION_COOKIES}
    passed_on = {
        "X-Forwarded-For": asked["address"],
        "X-Forwarded-Proto": ", ".join([*filter(None, [asked.get("forwarded_proto")]), asked.get("scheme", "http")]),
        "X-Forwarded-Prefix": "/genonaut",
        "Cookie": "; ".join(f"{name}={secret}" for name, secret in cookies.items()),
    }
    async with browser_at(read_settings({**environment, "GENONAUT_TRUSTED_PROXIES": f"{PACK},{PROXY}"})) as browser:
        path = "/internal/callers"
        of_the_pack = await browser.post(path, json={**asked, "cookies": cookies}, auth=PAIRED)
        of_the_api = await browser.get("/api/v1/me", headers=passed_on)
        del cookies[counts]
        without = await browser.post(path, json={**asked, "cookies": cookies}, auth=PAIRED)

    assert (of_the_pack.json()["name"], of_the_api.json()["name"]) == ("Ada", "Ada")
    assert without.json()["code"] == "not_logged_in"


async def begun(accounts: Accounts, user: User) -> str:
    """The secret of a session that has just begun."""
    return (await accounts.log_in.begin_session(user, address="", user_agent=""))[1]


async def test_a_prompt_is_whose_the_pack_says(
    browser: Browser, accounts: Accounts, add_person: AddPerson, database: Database
):
    """Nobody's is refused, and so is that of somebody who is out; nobody else takes it back."""
    ada, bob = await add_person("Ada"), await add_person("Bob")

    async def submitted(owner_id: UUID | None) -> tuple[int, UUID]:
        generation_id = uuid4()
        prompt = {"id": str(generation_id), "workflow": WORKFLOW, "owner_id": str(owner_id) if owner_id else None}
        return (await browser.post("/internal/prompts", json=prompt, auth=PAIRED)).status_code, generation_id

    async def taken_back(generation_id: UUID, owner_id: UUID) -> int:
        cancellation = {"owner_id": str(owner_id)}
        path = f"/internal/prompts/{generation_id}/cancel"
        return (await browser.post(path, json=cancellation, auth=PAIRED)).status_code

    status, generation_id = await submitted(ada.id)
    assert (status, (await submitted(None))[0], (await submitted(uuid4()))[0]) == (202, 401, 401)
    async with database.reading() as session:
        assert (await session.get_one(Generation, generation_id)).owner_id == ada.id
    assert (await taken_back(generation_id, bob.id), await taken_back(generation_id, ada.id)) == (404, 202)
    await accounts.people.change(ada.id, Alteration(disabled=True), COMMAND_LINE)
    assert (await submitted(ada.id))[0] == 401


async def test_who_was_refused_in_comfyui_is_in_the_audit(
    environment: dict[str, str], accounts: Accounts, add_person: AddPerson
):
    """With where they came from, as far as a trusted proxy tells; and how many more there were than are named."""
    ada = await add_person("Ada")
    refused: dict[str, Any] = {
        "code": "admins_only", "method": "POST", "route": "/free", "at": 1_763_722_800.5,
        "user_id": str(ada.id), "name": "Ada", "address": PROXY, "forwarded_for": STRANGER,
    }  # fmt: skip
    told = {"refusals": [refused, {**refused, "user_id": None, "name": "", "address": STRANGER}], "untold": 17}
    async with browser_at(read_settings({**environment, "GENONAUT_TRUSTED_PROXIES": f"{PACK},{PROXY}"})) as browser:
        answer = await browser.post("/internal/refusals", json=told, auth=PAIRED)
    found, _ = await accounts.audit.page(Wanted(Action.REFUSED), limit=10, cursor=None)

    assert answer.status_code == 204
    assert [(each.actor_id, each.actor_name, each.address) for each in reversed(found)] == [
        (ada.id, "Ada", STRANGER),
        (None, "", STRANGER),
        (None, "", ""),
    ]
    assert [each.details for each in found][::2] == [
        {"code": "not_one_by_one", "count": 17},
        {"code": "admins_only", "method": "POST", "route": "/free", "refused_at": "2025-11-21T11:00:00+00:00"},
    ]


async def test_of_credentials_that_are_no_good_the_audit_has_where_they_came_from(browser: Browser, accounts: Accounts):
    """Not where the pack is, which asks."""
    shown = {"address": STRANGER, "authorization": "Bearer gno_guessed"}
    refused = await browser.post("/internal/callers", json=shown, auth=PAIRED)
    (entry,), _ = await accounts.audit.page(Wanted(Action.REFUSED), limit=10, cursor=None)

    assert refused.json()["code"] == "credentials_invalid"
    assert (entry.address, entry.details["code"]) == (STRANGER, "credentials_invalid")


@pytest.mark.parametrize(
    ("written", "name"), [(b"ada", "ada"), ("José".encode(), "José"), ("José".encode("latin-1"), "José")]
)
async def test_the_name_that_a_proxy_writes_is_one_person_for_both(written: bytes, name: str):
    """Each reads headers with a library of its own, and these take what is no ASCII for different things."""
    pack = credentials.name_in(written.decode("utf-8", "surrogateescape"))  # as aiohttp hands it over
    sidecar = authentication.name_in(written.decode("latin-1"))  # as Litestar does

    assert (pack, sidecar) == (name, name)
