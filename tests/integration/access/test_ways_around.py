"""What somebody may try who wants more than is theirs, each by its name."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from uuid import UUID

import pytest
from fakes.asgi import Stay

from sidecar.accounts.guards import SAFE_METHODS, guarded_routes
from sidecar.generations.routes import PROMPTS_BYTES
from sidecar.identity import uuid7

from .conftest import API, PASSWORD, WORKFLOW, House
from .test_who_may_what import ROWS, plain, question, targets_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVIL = "https://evil.example"
OF_SOMEBODY = [operation for operation, statuses in ROWS.items() if statuses["other"] == 404 != statuses["owner"]]
STRANGER = "192.168.1.66"


@pytest.mark.parametrize("operation", OF_SOMEBODY)
async def test_somebody_elses_is_answered_exactly_as_what_there_is_not(house: House, operation: str) -> None:
    """
    To the last byte but the request's id: whoever tries ids learns nothing.
    """
    theirs = await targets_of(house, operation)
    none = {name: str(uuid7()) if is_id(value) else value for name, value in theirs.items()}
    browser = house.browser({**await house.cookie_of("bob"), "X-Request-ID": "the-same-for-both"})
    answers = []
    for targets in (theirs, none):
        method, path, body = question(operation, targets)
        answers.append(await browser.ask(method, path, body=body))

    assert {answer.status for answer in answers} == {404}
    assert answers[0].body == answers[1].body
    assert answers[0].headers == answers[1].headers


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


async def test_nothing_of_somebody_elses_is_in_any_list(house: House) -> None:
    """
    Neither in lists nor behind filters by which its owner finds it.
    """
    wanted = {"workflow": WORKFLOW, "title": "lighthouse", "tags": ["sea"]}
    hers = (await house.ask_as("ada", "POST", "/generations", body=wanted)).json["id"]
    child = (await house.ask_as("ada", "POST", f"/generations/{hers}/repeat", body={})).json["id"]
    await house.ask_as("ada", "PATCH", f"/generations/{hers}", body={"favourite": True})

    for query in ("", f"parent_id={hers}", "q=lighthouse", "q=light", "tag=sea", "favourite=true", "state=pending"):
        found = {
            name: {item["id"] for item in (await house.ask_as(name, "GET", f"/generations?{query}")).json["items"]}
            for name in ("ada", "bob")
        }
        assert {hers, child} & found["ada"], query
        assert not {hers, child} & found["bob"], query


async def test_what_is_done_with_many_at_once_is_done_with_ones_own(house: House) -> None:
    """
    The others are answered as those that there are not, and nothing happens to them.
    """
    hers = await house.new_generation("ada")
    bulk = {"action": "trash", "ids": [str(hers), str(uuid7())], "cancel": True}
    theirs, none = (await house.ask_as("bob", "POST", "/generations/bulk", body=bulk)).json["outcomes"]
    left = (await house.ask_as("ada", "GET", f"/generations/{hers}")).json

    assert {**theirs, "id": ""} == {**none, "id": ""}
    assert (left["state"], left["trashed_at"]) == ("pending", None)


async def test_a_cursor_of_somebody_elses_list_leads_through_ones_own(house: House) -> None:
    """
    It is a place in time, and whose list it is says who asks.
    """
    for _ in range(2):
        await house.new_generation("ada")
    mine = await house.new_generation("bob")
    await house.new_generation("ada")
    cursor = (await house.ask_as("ada", "GET", "/generations?limit=1")).json["next_cursor"]
    found = (await house.ask_as("bob", "GET", f"/generations?cursor={cursor}")).json["items"]

    shown = [await house.ask_as("bob", "GET", f"/generations/{item['id']}") for item in found]

    assert str(mine) in {item["id"] for item in found}
    assert {answer.status for answer in shown} == {200}


async def test_an_idempotency_key_of_somebody_elses_makes_something_of_ones_own(house: House) -> None:
    """
    Keys are names that people give, and two may choose the same.
    """
    key = {"Idempotency-Key": "monday"}
    hers = await house.ask_as("ada", "POST", "/generations", body={"workflow": WORKFLOW}, headers=key)
    his = await house.ask_as("bob", "POST", "/generations", body={"workflow": WORKFLOW}, headers=key)

    assert (hers.status, his.status) == (202, 202)
    assert hers.json["id"] != his.json["id"]


async def test_an_image_that_its_owner_has_just_looked_at_is_theirs_all_the_same(house: House) -> None:
    """
    What is kept in memory is kept for one person; a matching ETag opens nothing.
    """
    image_id = await house.new_image("ada")
    seen = await house.ask_as("ada", "GET", f"/images/{image_id}")
    known = {"If-None-Match": str(seen.header("etag"))}

    assert (await house.ask_as("ada", "GET", f"/images/{image_id}", headers=known)).status == 304
    assert (await house.ask_as("bob", "GET", f"/images/{image_id}", headers=known)).status == 404


async def test_a_stream_tells_only_what_is_ones_own(house: House) -> None:
    """
    Also while others are busy, and listen themselves.
    """
    stays = {name: Stay() for name in ("ada", "bob")}
    browsers = {name: house.browser(await house.cookie_of(name)) for name in stays}
    listening = [asyncio.create_task(browsers[name].ask("GET", f"{API}/events", stay=stays[name])) for name in stays]
    for stay in stays.values():
        await stay.until_heard("hello")
    made = {name: str(await house.new_generation(name)) for name in stays}
    for name, stay in stays.items():
        await stay.until_heard(made[name])
        stay.left.set()
    heard = [(await each).body.decode() for each in listening]

    assert made["bob"] not in heard[0]
    assert made["ada"] not in heard[1]


@pytest.mark.parametrize("way", ["disabled", "logged out", "token revoked"])
async def test_whoever_is_thrown_out_hears_nothing_from_that_moment_on(house: House, way: str) -> None:
    """
    The stream that is open ends, and whatever they ask next is refused.
    """
    name = f"out-{uuid7()}"
    made = await house.ask_as("root", "POST", "/admin/users", body={"name": name, "password": PASSWORD})
    session = await house.log_in(name)
    shown = await house.token(name, "read", "submit") if way == "token revoked" else session
    browser = house.browser(shown)
    stay = Stay()
    listening = asyncio.create_task(browser.ask("GET", f"{API}/events", stay=stay))
    await stay.until_heard("hello")
    user = f"/admin/users/{made.json['id']}"
    if way == "disabled":
        await house.ask_as("root", "PATCH", user, body={"disabled": True})
    elif way == "logged out":
        await house.ask_as("root", "DELETE", f"{user}/sessions")
    else:
        tokens = (await house.ask_as("root", "GET", f"{user}/tokens")).json["items"]
        await house.ask_as("root", "DELETE", f"{user}/tokens/{tokens[0]['id']}")
    await asyncio.wait_for(listening, 30)

    assert (await browser.ask("GET", f"{API}/me")).status == 401


async def test_a_token_for_reading_only_reads_whatever_it_asks(house: House) -> None:
    """
    Of an administrator, too: with it they are not one.
    """
    reader = house.browser(await house.token("root", "read", "submit"))
    refused = await house.browser(await house.token("ada", "read")).ask(
        "POST", f"{API}/generations", body={"workflow": WORKFLOW}
    )

    assert (refused.status, refused.json["code"]) == (403, "scope_missing")
    assert (await reader.ask("GET", f"{API}/admin/users")).json["code"] == "scope_missing"
    assert (await reader.ask("GET", "/health/ready")).json["instances"] == []


async def test_where_things_stand_is_for_administrators(house: House) -> None:
    """
    Everybody hears whether it is ready; which machines there are, and what is wrong with them, is not for everybody.
    """
    told = {
        name: (await house.browser(await house.cookie_of(name)).ask("GET", "/health/ready")).json
        for name in ("root", "ada")
    }
    nobody = (await house.browser().ask("GET", "/health/ready")).json

    assert [instance["url"] for instance in told["root"]["instances"]] == ["http://127.0.0.1:9"]
    assert told["root"]["waiting"] is not None
    for health in (told["ada"], nobody):
        assert (health["ready"], health["instances"], health["waiting"]) == (True, [], None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": EVIL, "X-Forwarded-Host": "127.0.0.1:8190"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"},
    ],
    ids=str,
)
async def test_a_page_of_another_website_changes_nothing_with_somebodys_cookie(
    house: House, headers: dict[str, str]
) -> None:
    """
    On no route that changes anything, whoever's cookie comes along; nor does it log anybody in.
    """
    browser = house.browser({**await house.cookie_of("root"), **headers})
    for path, handler in guarded_routes(house.app):
        for method in sorted(handler.http_methods - SAFE_METHODS):
            operation = f"{method} {plain(path)}"
            if "/internal/" in operation:
                continue  # no cookie opens these
            answer = await browser.ask(*question_of_nobodys(operation))
            assert (answer.status, answer.json["code"]) == (403, "foreign_origin"), operation


def question_of_nobodys(operation: str) -> tuple[str, str]:
    """Whatever it names, there is nothing of that name."""
    return question(operation, defaultdict(lambda: str(uuid7())))[:2]


async def test_a_password_that_a_browser_remembers_is_no_better_than_a_cookie(house: House) -> None:
    """
    Basic is sent along by itself, whoever's page asks. What no browser adds by itself is let through.
    """
    basic = {"Authorization": "Basic cm9vdDphIGxpZ2h0aG91c2UgYXQgZGF3bg==", "Origin": EVIL}
    bearer = {**await house.token("ada", "read", "submit"), "Origin": EVIL}
    asked = ("POST", f"{API}/generations")

    assert (await house.browser(basic).ask(*asked, body={"workflow": WORKFLOW})).json["code"] == "foreign_origin"
    assert (await house.browser(bearer).ask(*asked, body={"workflow": WORKFLOW})).status == 202


async def test_only_pages_that_the_settings_name_may_read_answers(house: House) -> None:
    """
    CORS is closed: also for event streams, and before the question (preflight).
    """
    cookie = await house.cookie_of("ada")
    for path in ("/generations", "/events"):
        friend = await house.browser({**cookie, "Origin": "https://tools.example"}).ask("GET", API + path)
        enemy = await house.browser({**cookie, "Origin": EVIL}).ask("GET", API + path)
        assert friend.header("access-control-allow-origin") == "https://tools.example"
        assert enemy.header("access-control-allow-origin") is None
    asking = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    preflight = await house.browser(asking).ask("OPTIONS", f"{API}/generations")

    assert preflight.header("access-control-allow-origin") is None


async def test_whoever_forges_where_they_come_from_is_who_they_are(house: House) -> None:
    """
    Neither another address in the record, nor TLS where there is none, nor somebody else's name.
    """
    forged = {
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-User": "root",
        "X-Forwarded-Prefix": "/genonaut",
    }
    stranger = house.browser(forged, address=STRANGER)
    logged_in = await stranger.ask("POST", f"{API}/sessions", body={"name": "ada", "password": PASSWORD})
    cookie = str(logged_in.header("set-cookie"))
    sessions = await stranger.ask("GET", f"{API}/me/sessions", headers={"Cookie": cookie.partition(";")[0]})

    assert (await stranger.ask("GET", f"{API}/me")).status == 401
    assert "secure" not in cookie.lower()
    assert logged_in.header("strict-transport-security") is None
    assert next(each for each in sessions.json["items"] if each["is_current"])["address"] == STRANGER


async def test_through_tls_a_cookie_stays_with_tls(house: House) -> None:
    """
    A trusted proxy says so. No script reads it, other sites' pages do not send it along with what they post, and pages
    of siblings (another name below the same domain) can neither plant nor replace it. Who logs out has none left.
    """
    browser = house.browser({"X-Forwarded-Proto": "https", "X-Forwarded-For": STRANGER})
    answer = await browser.ask("POST", f"{API}/sessions", body={"name": "ada", "password": PASSWORD})
    cookie, *flags = (part.strip() for part in str(answer.header("set-cookie")).split(";"))
    planted = {"Cookie": cookie.removeprefix("__Host-")}
    fooled = await browser.ask("GET", f"{API}/me", headers=planted)
    left = await browser.ask("DELETE", f"{API}/sessions/current", headers={"Cookie": cookie})
    removed = [value for name, value in left.headers if name == "set-cookie"]

    assert cookie.startswith("__Host-genonaut_session=")
    assert {flag.lower() for flag in flags} >= {"secure", "httponly", "samesite=lax", "path=/"}
    assert not any(flag.lower().startswith("domain") for flag in flags)
    assert answer.header("strict-transport-security") is not None
    assert (fooled.status, left.status) == (401, 204)
    assert {each.partition("=")[0] for each in removed if "Max-Age=0" in each} == {
        "genonaut_session",
        "__Host-genonaut_session",
    }


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize(("path", "size"), [("/me/tokens", 65 * 1024), ("/generations/{}/repeat", PROMPTS_BYTES + 1)])
async def test_a_body_that_is_too_large_is_not_read_to_its_end(
    house: House, path: str, size: int, *, is_announced: bool
) -> None:
    """
    Also where nobody said how long it would be.
    """
    cookie = await house.cookie_of("ada")
    headers = {"Content-Type": "application/json", **({"Content-Length": str(size)} if is_announced else {})}
    path = path.format(await house.new_generation("ada"))
    endless = (b"x" * 1024 for _ in range(size // 1024 + 100))
    answer = await house.browser(cookie).ask("POST", API + path, headers=headers, chunks=endless)

    assert (answer.status, answer.json["code"]) == (413, "body_too_large")


async def test_no_refusal_makes_a_browser_ask_for_a_password_by_itself(house: House) -> None:
    """
    It would remember it, and send it along with every request from then on.
    """
    answer = await house.browser().ask("GET", f"{API}/me")

    assert (answer.status, answer.header("www-authenticate")) == (401, "Bearer")


async def test_refusals_are_in_the_audit_once_a_minute(house: House) -> None:
    """
    Who, what and from where; and whoever repeats it a thousand times does not fill the disk.
    """
    bob = house.browser(await house.cookie_of("bob"), address=STRANGER)
    for _ in range(5):
        await bob.ask("DELETE", f"{API}/admin/users/{house.ids['sue']}")
        await house.browser({"Cookie": "genonaut_session=guessed"}, address="192.168.1.67").ask("GET", f"{API}/me")
    entries = (await house.ask_as("root", "GET", "/admin/audit?action=refused")).json["items"]
    of_bob = [entry for entry in entries if entry["actor_name"] == "bob" and entry["address"] == STRANGER]
    foreign = house.browser({"Origin": EVIL}, address="192.168.1.68")
    wanted = {"code": "a-secret-code", "name": "me", "password": PASSWORD}
    await foreign.ask("POST", f"{API}/invites/accept", body=wanted)
    entries += (await house.ask_as("root", "GET", "/admin/audit?action=refused&limit=1")).json["items"]
    of_nobody = [entry for entry in entries if entry["address"] == "192.168.1.67"]

    assert [(entry["details"]["code"], entry["details"]["route"]) for entry in of_bob] == [
        ("administrators_only", f"{API}/admin/users/{{user_id}}")
    ]
    assert [entry["details"]["code"] for entry in of_nobody] == ["credentials_invalid"]
    assert entries[-1]["details"] == {
        "code": "foreign_origin",
        "method": "POST",
        "route": f"{API}/invites/accept",
    }
    assert not {"guessed", "a-secret-code"} & set(re.findall(r"[\w-]+", json.dumps(entries)))
