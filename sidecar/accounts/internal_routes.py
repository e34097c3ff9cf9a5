"""HTTP for the pack: who is let in, and who is asking it for something."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from litestar import Request, get, post
from litestar.datastructures import Headers
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT

from sidecar.accounts.audit import Actor, Audit, nobody
from sidecar.accounts.callers import Scope
from sidecar.accounts.credentials import Credentials
from sidecar.accounts.first_administrator import FirstAdministrator
from sidecar.accounts.guards import requires_pairing
from sidecar.accounts.recognition import REMEMBERED_FOR_S, Recognition
from sidecar.accounts.routes import Door
from sidecar.accounts.schemas import AccessView, CallerView, ShownCredentials, ToldRefusal, ToldRefusals
from sidecar.clients import CLIENT, TrustedProxies, client_of

REFUSALS_BYTES = 256 * 1024
NOT_ONE_BY_ONE = "not_one_by_one"  # in the audit: how many more there were


@get("/internal/pairing", guards=[requires_pairing], status_code=HTTP_204_NO_CONTENT, include_in_schema=False)
async def show_pairing() -> None:
    """Nothing but the proof that it is us who answer, for which each new connection of the pack's asks."""


@get("/internal/access", guards=[requires_pairing], include_in_schema=False)
async def show_access(front_door: Door, first_administrator: NamedDependency[FirstAdministrator]) -> AccessView:
    """Who is let in."""
    return AccessView(front_door.access.value, await first_administrator.is_missing())


@post("/internal/callers", guards=[requires_pairing], status_code=HTTP_200_OK, include_in_schema=False)
async def recognise(
    data: JSONBody[ShownCredentials],
    request: Request[Any, Any, Any],
    recognition: NamedDependency[Recognition],
    proxies: NamedDependency[TrustedProxies],
    front_door: Door,
) -> CallerView:
    """
    Who is asking ComfyUI for something.

    `address` is who spoke to ComfyUI, perhaps a proxy; what that one said of whom it speaks for comes along as it was
    (`X-Forwarded-For`, `forwarded_proto`, `forwarded_user`) and counts if it is trusted.
    """
    is_vouched_for = data.address in proxies
    scheme = proxies.scheme_through_pack(request, data.address, data.scheme, data.forwarded_proto)
    address = proxies.origin_of(data.address, request.headers)
    request.scope["state"][CLIENT] = replace(client_of(request), address=address)  # whom a refusal is about
    caller = await recognition.caller_of(
        Credentials(
            address=address,
            cookie=front_door.cookies.secret_in(data.cookies, scheme),
            authorization=data.authorization,
            token=data.token,
            forwarded_user=data.forwarded_user if is_vouched_for else None,
        )
    )
    return CallerView(
        user_id=caller.user_id,
        name=caller.name,
        role=caller.role.value,
        scopes=[scope.value for scope in Scope if caller.may(scope)],
        session_id=caller.session_id,
        valid_for_s=REMEMBERED_FOR_S,
    )


@post(
    "/internal/refusals",
    guards=[requires_pairing],
    status_code=HTTP_204_NO_CONTENT,
    request_max_body_size=REFUSALS_BYTES,
    include_in_schema=False,
)
async def note_refusals(
    data: JSONBody[ToldRefusals], audit: NamedDependency[Audit], proxies: NamedDependency[TrustedProxies]
) -> None:
    """Who was refused something by the pack, which tells no more of them than we write down of our own."""
    refused = [(refused_by_pack(told, proxies), details_of(told)) for told in data.refusals]
    if data.untold:
        refused.append((nobody(""), {"code": NOT_ONE_BY_ONE, "count": data.untold}))
    await audit.note_refusals(refused)


def refused_by_pack(told: ToldRefusal, proxies: TrustedProxies) -> Actor:
    headers = Headers({} if told.forwarded_for is None else {"X-Forwarded-For": told.forwarded_for})
    return Actor(told.user_id, told.name, proxies.origin_of(told.address, headers))


def details_of(told: ToldRefusal) -> dict[str, Any]:
    """An entry has the moment in which it is written, and the sidecar may have been away since."""
    refused_at = datetime.fromtimestamp(told.at, timezone.utc).isoformat(timespec="seconds")
    return {"code": told.code, "method": told.method, "route": told.route, "refused_at": refused_at}


ROUTES: list[Any] = [show_pairing, show_access, recognise, note_refusals]
