"""Every route says who may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, WebSocket, get, post, websocket
from litestar.exceptions import ImproperlyConfiguredException

from sidecar.accounts.authentication import PUBLIC
from sidecar.accounts.guards import guarded_routes, require_guards, requires_member, requires_read, requires_submit
from sidecar.app import create_app
from sidecar.settings import read_settings


def handler() -> None:
    """Whatever it does."""


async def listener(socket: WebSocket[Any, Any, Any]) -> None:
    """Likewise."""


FOR_EVERYBODY = {
    "/api/v1/sessions",  # whoever logs in is nobody yet; so are the next four
    "/api/v1/first-administrator",
    "/api/v1/invites/look",
    "/api/v1/invites/accept",
    "/health/live",
    "/health/ready",
    "/schema",
    "/schema/openapi.json",
    "/schema/start.js",
    "/schema/{path:str}",
    "/schema-files/{file_path:path}",
}
"""What is answered to whoever asks: nothing of it is anybody's. The pack's own ask for the pairing secret instead."""


def test_no_route_is_for_everybody_that_is_not_named_here(tmp_path: Path) -> None:
    """
    Whoever adds one says so a second time, and why.
    """
    app = create_app(read_settings({"GENONAUT_DATA": str(tmp_path)}))
    public = {path for path, handler in guarded_routes(app) if handler.opt.get(PUBLIC)}

    assert {path for path in public if not path.startswith("/internal/")} == FOR_EVERYBODY


@pytest.mark.parametrize(
    "route",
    [
        get("/", sync_to_thread=False)(handler),
        get("/", guards=[requires_member], sync_to_thread=False)(handler),
        post("/", guards=[requires_read], sync_to_thread=False)(handler),
        websocket("/")(listener),
    ],
    ids=["says nothing", "says only who may not", "changes something for whoever may look", "is no plain route"],
)
def test_a_route_that_nobody_guards_does_not_start(route: Any) -> None:
    """
    Forgotten is refused, at the start and not at the first request.
    """
    with pytest.raises(ImproperlyConfiguredException):
        require_guards(Litestar([route], openapi_config=None))


@pytest.mark.parametrize(
    "route",
    [
        get("/", guards=[requires_read], sync_to_thread=False)(handler),
        post("/", guards=[requires_member, requires_submit], sync_to_thread=False)(handler),
        post("/", opt={PUBLIC: True}, sync_to_thread=False)(handler),
    ],
)
def test_a_route_that_says_who_may_ask_does(route: Any) -> None:
    """
    Beside it, or for everybody.
    """
    require_guards(Litestar([route], openapi_config=None))
