"""Where requests come from, which Litestar's test client does not say."""

from __future__ import annotations

from litestar import Litestar
from litestar.types import Receive, Scope, Send


def heard_from(address: str, app: Litestar) -> Litestar:
    """Let every request come from this IP address, as the server would tell the app."""
    inner = app.asgi_handler

    async def hear(scope: Scope, receive: Receive, send: Send) -> None:
        scope["client"] = (address, 50000)
        await inner(scope, receive, send)

    app.asgi_handler = hear
    return app
