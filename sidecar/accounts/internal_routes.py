"""HTTP for the pack: who is let in, and who is asking it for something."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT

from sidecar.accounts.callers import Scope
from sidecar.accounts.credentials import Credentials
from sidecar.accounts.first_administrator import FirstAdministrator
from sidecar.accounts.guards import requires_pairing
from sidecar.accounts.recognition import REMEMBERED_FOR_S, Recognition
from sidecar.accounts.routes import Door
from sidecar.accounts.schemas import AccessView, CallerView, ShownCredentials
from sidecar.clients import TrustedProxies


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
    caller = await recognition.caller_of(
        Credentials(
            address=proxies.origin_of(data.address, request.headers),
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


ROUTES: list[Any] = [show_pairing, show_access, recognise]
