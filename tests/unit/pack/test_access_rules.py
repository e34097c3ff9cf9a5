"""The table of who may use which route, and how a route is found in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from comfy_nodes.access_rules import FRONTEND_FILES, RULES, Rule, path_of, rule_for


@pytest.mark.parametrize("row", RULES)
def test_every_row_can_be_found(row: str) -> None:
    """A method or all of them, and a path as ComfyUI declares it; a row that nothing matches protects nothing."""
    method, path = row.split(" ", 1)

    assert re.fullmatch(r"GET|POST|PUT|PATCH|DELETE|\*", method)
    assert path == FRONTEND_FILES or (path.startswith("/") and not path.startswith("/api/"))
    asked = "POST" if method == "*" else method
    assert rule_for(asked, path.replace("/*", "/x/{y}")) is not None


@pytest.mark.parametrize(
    ("method", "path", "rule"),
    [
        ("GET", "/queue", Rule.OWNER),
        ("HEAD", "/queue", Rule.OWNER),
        ("PUT", "/queue", None),
        ("GET", "/queue/x", None),
        ("GET", "/internal/files/{directory_type}", Rule.OWNER),
        ("GET", "/internal/logs", Rule.ADMIN),
        ("PATCH", "/internal/logs/subscribe", Rule.ADMIN),
        ("GET", "/internal/of/a/later/version", Rule.ADMIN),
        ("GET", "/genonaut/login", Rule.PUBLIC),
        ("POST", "/genonaut/login", Rule.OURS),
        ("DELETE", "/genonaut/{path}", Rule.OURS),
        ("GET", "/manager", Rule.ADMIN),
        ("GET", "/v2/manager/queue/status", Rule.ADMIN),
        ("GET", "/managers", None),
        ("GET", "/extensions/pack", Rule.MEMBER),
        ("POST", "/extensions/pack", None),
        ("GET", FRONTEND_FILES, Rule.PUBLIC),
        ("GET", "/some/pack", None),
    ],
)
def test_the_nearest_row_counts(method: str, path: str, rule: Rule | None) -> None:
    """One for that very route before one for all below a path; none where nothing is known."""
    assert rule_for(method, path) is rule


async def nothing(request: web.Request) -> web.Response:
    return web.Response()


@pytest.fixture
def app(tmp_path: Path) -> web.Application:
    app, inner = web.Application(), web.Application()
    inner.router.add_get("/logs", nothing)
    app.add_subapp("/internal", inner)
    for path in ("/queue", "/api/queue", "/api/jobs", "/api/api/jobs", "/api/history/{prompt_id}", "/x/{path:.*}", "/"):
        app.router.add_get(path, nothing)
    app.router.add_static("/extensions/pack", tmp_path)
    app.router.add_static("/", tmp_path)
    return app


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/queue", "/queue"),
        ("/%71ueue", "/queue"),
        ("/api/queue?x=/internal", "/queue"),
        ("/api/jobs", "/jobs"),
        ("/api/api/jobs", "/jobs"),
        ("/api/history/a%2Fb", "/history/{prompt_id}"),
        ("/x/internal/logs", "/x/{path}"),
        ("/internal/logs", "/internal/logs"),
        ("/%69nternal/logs", "/internal/logs"),
        ("/internal/nothing", None),
        ("/extensions/pack/main.js", "/extensions/pack"),
        ("/", "/"),
        ("/index.html", FRONTEND_FILES),
        ("/queue/", FRONTEND_FILES),  # not the queue: ComfyUI looks for a file of that name
        ("/api/queue/../../internal", FRONTEND_FILES),
    ],
)
async def test_it_is_the_route_that_was_found_that_counts(app: web.Application, asked: str, path: str | None) -> None:
    """However the address is written, and whatever else stands in it."""
    request: Any = make_mocked_request("GET", asked, app=app)
    request._match_info = await app.router.resolve(request)

    assert path_of(request) == path
