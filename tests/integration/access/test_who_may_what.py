"""
Every route, asked by everybody: one table says what each of them is answered.

An operation that is not in the table fails the test, so none can be forgotten.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

import sidecar
from sidecar.accounts.guards import guarded_routes
from sidecar.identity import uuid7
from sidecar.tables import Instance, Model

from .conftest import API, NOBODY_THERE, PASSWORD, WORKFLOW, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLERS = ("nobody", "other", "guest", "admin", "reader", "disabled", "owner")
"""
Whose things are asked for is the owner, a member. `reader` is a program of the owner's, with a token for reading;
`disabled` is one of somebody whose account is switched off. The owner comes last: what they may do, they do.
"""

TABLE = """
                                                   nobody  other  guest  admin  reader  disabled  owner
GET    /generations                                   401    200    200    200     200       401    200
POST   /generations                                   401    202    202    202     403       401    202
GET    /generations/{generation_id}                   401    404    404    404     200       401    200
GET    /generations/{generation_id}/workflow          401    404    404    404     200       401    200
GET    /generations/{generation_id}/timeline          401    404    404    404     200       401    200
GET    /generations/{generation_id}/events            401    404    404    404     200       401    200
POST   /generations/{generation_id}/cancel            401    404    404    404     403       401    202
POST   /generations/{generation_id}/repeat            401    404    404    404     403       401    202
PATCH  /generations/{generation_id}                   401    404    404    404     403       401    200
POST   /generations/{generation_id}/restore           401    404    404    404     403       401    200
DELETE /generations/{generation_id}                   401    404    404    404     403       401    200
POST   /generations/estimate                          401    200    200    200     403       401    200
POST   /generations/bulk                              401    200    200    200     403       401    200
GET    /events                                        401    200    200    200     200       401    200

GET    /images/{image_id}                             401    404    404    404     200       401    200
HEAD   /images/{image_id}                             401    404    404    404     200       401    200
GET    /images/{image_id}/thumbnail/{size}            401    404    404    404     200       401    200
HEAD   /images/{image_id}/thumbnail/{size}            401    404    404    404     200       401    200

GET    /quota                                         401    200    200    200     200       401    200
GET    /usage                                         401    200    200    200     200       401    200
GET    /admin/users/{user_id}/quota                   401    403    403    200     403       401    403
GET    /admin/estimates                               401    403    403    200     403       401    403
GET    /admin/usage.csv                               401    403    403    200     403       401    403

GET    /models                                        401    200    200    200     200       401    200
GET    /models/options                                401    200    200    200     200       401    200
POST   /models/refresh                                401    403    403    200     403       401    403
PATCH  /models/{model_id}                             401    403    403    200     403       401    403

GET    /me                                            401    200    200    200     200       401    200
PUT    /me/password                                   401    204    204    204     403       401    204
GET    /me/sessions                                   401    200    200    200     200       401    200
DELETE /me/sessions                                   401    204    204    204     403       401    204
DELETE /me/sessions/{session_id}                      401    404    404    404     403       401    204
GET    /me/tokens                                     401    200    200    200     200       401    200
POST   /me/tokens                                     401    201    403    201     403       401    201
DELETE /me/tokens/{token_id}                          401    404    404    404     403       401    204
POST   /sessions                                      201    201    201    201     201       201    201
DELETE /sessions/current                              401    204    204    204     403       401    204

POST   /invites/look                                  200    200    200    200     200       200    200
POST   /invites/accept                                201    201    201    201     201       201    201
POST   /first-administrator                           401    401    401    401     401       401    401

GET    /admin/users                                   401    403    403    200     403       401    403
POST   /admin/users                                   401    403    403    201     403       401    403
GET    /admin/users/{user_id}                         401    403    403    200     403       401    403
PATCH  /admin/users/{user_id}                         401    403    403    200     403       401    403
DELETE /admin/users/{user_id}                         401    403    403    409     403       401    403
POST   /admin/users/{user_id}/password                401    403    403    204     403       401    403
GET    /admin/users/{user_id}/sessions                401    403    403    200     403       401    403
DELETE /admin/users/{user_id}/sessions                401    403    403    204     403       401    403
GET    /admin/users/{user_id}/tokens                  401    403    403    200     403       401    403
DELETE /admin/users/{user_id}/tokens/{token_id}       401    403    403    204     403       401    403
GET    /admin/invites                                 401    403    403    200     403       401    403
POST   /admin/invites                                 401    403    403    201     403       401    403
DELETE /admin/invites/{invite_id}                     401    403    403    204     403       401    403
GET    /admin/plans                                   401    403    403    200     403       401    403
POST   /admin/plans                                   401    403    403    201     403       401    403
GET    /admin/plans/{plan_name}                       401    403    403    200     403       401    403
PATCH  /admin/plans/{plan_name}                       401    403    403    200     403       401    403
DELETE /admin/plans/{plan_name}                       401    403    403    204     403       401    403
GET    /admin/users/{user_id}/overrides               401    403    403    200     403       401    403
POST   /admin/users/{user_id}/overrides               401    403    403    201     403       401    403
DELETE /admin/users/{user_id}/overrides               401    403    403    204     403       401    403
DELETE /admin/users/{user_id}/overrides/{override_id} 401    403    403    204     403       401    403
GET    /admin/groups                                  401    403    403    200     403       401    403
POST   /admin/groups                                  401    403    403    201     403       401    403
GET    /admin/groups/{group_id}                       401    403    403    200     403       401    403
PATCH  /admin/groups/{group_id}                       401    403    403    200     403       401    403
DELETE /admin/groups/{group_id}                       401    403    403    204     403       401    403
GET    /admin/groups/{group_id}/members               401    403    403    200     403       401    403
PUT    /admin/groups/{group_id}/members/{user_id}     401    403    403    204     403       401    403
DELETE /admin/groups/{group_id}/members/{user_id}     401    403    403    204     403       401    403
GET    /admin/audit                                   401    403    403    200     403       401    403
GET    /admin/instances                               401    403    403    200     403       401    403
POST   /admin/instances                               401    403    403    201     403       401    403
GET    /admin/instances/{instance_id}                 401    403    403    200     403       401    403
PATCH  /admin/instances/{instance_id}                 401    403    403    200     403       401    403
DELETE /admin/instances/{instance_id}                 401    403    403    409     403       401    403
GET    /admin/rules                                   401    403    403    200     403       401    403
POST   /admin/rules                                   401    403    403    201     403       401    403
PATCH  /admin/rules/{rule_id}                         401    403    403    200     403       401    403
DELETE /admin/rules/{rule_id}                         401    403    403    204     403       401    403
POST   /admin/rules/dry-run                           401    403    403    200     403       401    403
GET    /admin/rule-hits                               401    403    403    200     403       401    403
GET    /admin/reviews                                 401    403    403    200     403       401    403
POST   /admin/reviews/{generation_id}                 401    403    403    200     403       401    403
GET    /admin/reviews/{generation_id}/images/{image_id} 401  403    403    404     403       401    403
HEAD   /admin/reviews/{generation_id}/images/{image_id} 401  403    403    404     403       401    403
GET    /admin/reviews/{generation_id}/images/{image_id}/thumbnail/{size} 401 403 403 404 403 401 403
HEAD   /admin/reviews/{generation_id}/images/{image_id}/thumbnail/{size} 401 403 403 404 403 401 403
GET    /admin/queue                                   401    403    403    200     403       401    403
PATCH  /admin/queue                                   401    403    403    200     403       401    403

GET    /health/live                                   200    200    200    200     200       200    200
GET    /health/ready                                  200    200    200    200     200       200    200
GET    /schema                                        200    200    200    200     200       200    200
GET    /schema/openapi.json                           200    200    200    200     200       200    200
GET    /schema/start.js                               200    200    200    200     200       200    200
GET    /schema/{path}                                 404    404    404    404     404       404    404
GET    /schema-files/{file_path}                      200    200    200    200     200       200    200
HEAD   /schema-files/{file_path}                      200    200    200    200     200       200    200

POST   /internal/prompts                              401    401    401    401     401       401    401
POST   /internal/prompts/{generation_id}/cancel       401    401    401    401     401       401    401
POST   /internal/prompts/clear                        401    401    401    401     401       401    401
GET    /internal/outputs/owner                        401    401    401    401     401       401    401
GET    /internal/pairing                              401    401    401    401     401       401    401
GET    /internal/access                               401    401    401    401     401       401    401
POST   /internal/callers                              401    401    401    401     401       401    401
POST   /internal/refusals                             401    401    401    401     401       401    401
"""
"""In `accounts` access. What is not of these is below /api/v1:"""
AT_THE_TOP = ("/health/", "/schema", "/internal/")

PEOPLE = {"other": "bob", "guest": "gus", "admin": "root", "owner": "ada"}

ROWS = {
    f"{method} {path}": dict(zip(CALLERS, map(int, statuses), strict=True))
    for method, path, *statuses in (line.split() for line in TABLE.strip().splitlines()[1:] if line)
}
BODIES: dict[str, Any] = {
    "POST /generations": {"workflow": WORKFLOW},
    "POST /generations/estimate": {"workflow": WORKFLOW},
    "POST /generations/{generation_id}/repeat": {},
    "PATCH /generations/{generation_id}": {"favourite": True},
    "POST /generations/bulk": {"action": "tag", "ids": ["{generation_id}"], "tags": ["seen"]},
    "PATCH /models/{model_id}": {"active": True},
    "PUT /me/password": {"current": PASSWORD, "new": PASSWORD},
    "POST /me/tokens": {"name": "another", "scopes": ["read"]},
    "POST /sessions": {"name": "sue", "password": PASSWORD},
    "POST /invites/look": {"code": "{code}"},
    "POST /invites/accept": {"code": "{code}", "name": "{new_name}", "password": PASSWORD},
    "POST /first-administrator": {"secret": "guessed", "name": "me", "password": PASSWORD},
    "POST /admin/users": {"name": "{new_name}"},
    "PATCH /admin/users/{user_id}": {"plan": "premium"},
    "POST /admin/users/{user_id}/password": {"password": PASSWORD},
    "POST /admin/invites": {"role": "guest"},
    "POST /admin/plans": {"name": "{new_name}"},
    "PATCH /admin/plans/{plan_name}": {"limits": {"steps_at_most": 30}},
    "POST /admin/users/{user_id}/overrides": {"limits": {"steps_at_most": 30}},
    "POST /admin/groups": {"name": "{new_name}"},
    "PATCH /admin/groups/{group_id}": {"limits": {"generations_per_day": 500}},
    "POST /admin/instances": {"url": f"{NOBODY_THERE}/{{new_name}}"},
    "PATCH /admin/instances/{instance_id}": {"wanted": "active"},
    "POST /admin/reviews/{generation_id}": {"decision": "hide"},
    "POST /admin/rules": {"kind": "content", "name": "A rule", "definition": {"words": ["bomb"]}, "is_active": False},
    "PATCH /admin/rules/{rule_id}": {"is_active": False},
    "POST /admin/rules/dry-run": {"text": "a bomb"},
    "PATCH /admin/queue": {"paused": False},
    "POST /internal/prompts": {"id": "{new_name}", "workflow": WORKFLOW},
    "POST /internal/prompts/{generation_id}/cancel": {},
    "POST /internal/prompts/clear": {},
    "POST /internal/callers": {"address": "127.0.0.1"},
    "POST /internal/refusals": {"refusals": []},
}
QUERIES = {"DELETE /generations/{generation_id}": "?cancel=true", "GET /internal/outputs/owner": "?filename=a.png"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shown(house: House) -> dict[str, dict[str, str]]:
    """What each caller shows of who they are."""
    disabled = await house.token("eve", "read", "submit")
    await house.ask_as("root", "PATCH", f"/admin/users/{house.ids['eve']}", body={"disabled": True})
    return {
        "nobody": {},
        "reader": await house.token("ada", "read"),
        "disabled": disabled,
        **{caller: await house.cookie_of(name) for caller, name in PEOPLE.items()},
    }


@pytest.mark.parametrize("operation", ROWS)
async def test_everybody_is_answered_as_the_table_says(
    house: House, shown: dict[str, dict[str, str]], operation: str
) -> None:
    """
    Nobody: log in. Whoever may not: forbidden, if it is known that there is such a route. Somebody else's: not there.
    """
    targets = await targets_of(house, operation)
    found = {}
    for caller in CALLERS:
        headers = shown[caller]
        if operation == "DELETE /sessions/current" and caller in PEOPLE:
            headers = await house.log_in(PEOPLE[caller])
        method, path, body = question(operation, {**targets, "new_name": str(uuid7())})
        answer = await house.browser(headers).ask(method, path, body=body)
        found[caller] = answer.status

    assert found == ROWS[operation]


async def test_every_route_is_in_the_table(house: House) -> None:
    """
    Whoever adds one says here who may what with it.
    """
    routes = {
        f"{method} {plain(path)}"
        for path, handler in guarded_routes(house.app)
        for method in handler.http_methods - {"OPTIONS"}
    }
    described = json.loads(Path(sidecar.__file__).with_name("openapi.json").read_text(encoding="utf-8"))["paths"]
    operations = {f"{method.upper()} {plain(path)}" for path, methods in described.items() for method in methods}

    assert routes == set(ROWS)
    assert operations <= routes


def plain(path: str) -> str:
    """As the table has it: `/api/v1/images/{image_id:uuid}` is `/images/{image_id}`."""
    return re.sub(r":\w+}", "}", path).removeprefix(API)


def question(operation: str, targets: dict[str, str]) -> tuple[str, str, Any]:
    """Method, path and body, with everything that they name."""
    method, _, path = operation.partition(" ")
    start = "" if path.startswith(AT_THE_TOP) else API
    body = BODIES.get(operation)
    filled = None if body is None else json.loads(fill(json.dumps(body), targets))
    return method, start + fill(path, targets) + QUERIES.get(operation, ""), filled


def fill(text: str, targets: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: targets[found[1]], text)


async def targets_of(house: House, operation: str) -> dict[str, str]:
    """What the operation is asked to be done with: things of the owner's, new ones for each operation."""
    needed = set(re.findall(r"{(\w+)}", operation + json.dumps(BODIES.get(operation))))
    subject = "sue" if "/admin/" in operation else "ada"  # what is done to sue, nobody else feels
    made = {"size": "small", "path": "nothing-here", "file_path": "swagger-ui.css", "user_id": str(house.ids["sue"])}
    if "generation_id" in needed:
        made["generation_id"] = str(await house.new_generation("ada"))
    if "image_id" in needed:
        made["image_id"] = str(await house.new_image("ada"))
    if "session_id" in needed:
        elsewhere = house.browser(await house.log_in(subject))
        made["session_id"] = (await elsewhere.ask("GET", f"{API}/me")).json["session_id"]
    if "token_id" in needed:
        token = await house.ask_as(subject, "POST", "/me/tokens", body={"name": "theirs", "scopes": ["read"]})
        made["token_id"] = token.json["token"]["id"]
    made |= await limits_of(house, needed)
    if {"invite_id", "code"} & needed:
        invite = (await house.ask_as("root", "POST", "/admin/invites", body={"uses": len(CALLERS)})).json
        made |= {"invite_id": invite["invite"]["id"], "code": invite["code"]}
    if "rule_id" in needed:
        rule = BODIES["POST /admin/rules"]
        made["rule_id"] = (await house.ask_as("root", "POST", "/admin/rules", body=rule)).json["id"]
    async with house.database.reading() as session:
        made["model_id"] = str(await session.scalar(select(Model.id)))
        made["instance_id"] = str(await session.scalar(select(Instance.id).where(Instance.from_settings)))
    return made


async def limits_of(house: House, needed: set[str]) -> dict[str, str]:
    """A plan, an override of sue's, and a group that she is in."""
    made = {}
    if "plan_name" in needed:
        plan = await house.ask_as("root", "POST", "/admin/plans", body={"name": str(uuid7())})
        made["plan_name"] = plan.json["name"]
    if "override_id" in needed:
        overrides = f"/admin/users/{house.ids['sue']}/overrides"
        body = {"limits": {"steps_at_most": 30}}
        made["override_id"] = (await house.ask_as("root", "POST", overrides, body=body)).json["id"]
    if "group_id" in needed:
        group = (await house.ask_as("root", "POST", "/admin/groups", body={"name": str(uuid7())})).json
        made["group_id"] = group["id"]
        await house.ask_as("root", "PUT", f"/admin/groups/{group['id']}/members/{house.ids['sue']}")
    return made
