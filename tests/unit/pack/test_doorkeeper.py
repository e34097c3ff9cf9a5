"""Who is let in, as whom, and how the others are refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from fakes.knowing_sidecar import KnowingSidecar
from fakes.paired import as_sidecar
from yarl import URL

from comfy_nodes.caller import CALLER
from comfy_nodes.client_sockets import ClientSockets
from comfy_nodes.doorkeeper import Doorkeeper
from comfy_nodes.pairing import ANSWER_HEADER, pairing_of
from comfy_nodes.recognition import Callers
from comfy_nodes.settings import PackSettings
from comfy_nodes.wire import Handler, prove_answer

Browser = TestClient[Any, Any]
ADA = {"Authorization": "Bearer ada"}
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
SOCKETS = ClientSockets(server=None)
FOLDERS = ["/home/root/comfyui/models/loras", "D:\\models\\Lora"]


def settings(**chosen: Any) -> PackSettings:
    chosen = {"access": "accounts", **chosen}
    return PackSettings(Path(), "http://sidecar", 8190, start_sidecar=False, pairing_secret="paired", **chosen)


async def say_who(request: web.Request) -> web.Response:
    caller = CALLER.get()
    return web.json_response("everybody" if caller is None else caller.name)


async def say_stats(request: web.Request) -> web.Response:
    return web.json_response({"system": {"os": "posix", "argv": ["main.py", "--secret"]}, "devices": []})


async def say_folders(request: web.Request) -> web.Response:
    return web.json_response([{"name": "loras", "folders": FOLDERS}])


async def find_nothing(request: web.Request) -> web.Response:
    return web.Response(status=404)


async def forbid(request: web.Request) -> web.Response:
    return web.Response(status=403, text="Invalid directory")


@web.middleware
async def answer_before_the_question(request: web.Request, handler: Handler) -> web.StreamResponse:
    """As ComfyUI does: that every page may ask nothing."""
    return web.Response() if request.method == "OPTIONS" else await handler(request)


def comfyui(doorkeeper: Doorkeeper, folder: Path) -> web.Application:
    """Routes as ComfyUI has them: with and without /api, a sub-application, static files at the root."""
    app = web.Application(middlewares=[doorkeeper.answer, answer_before_the_question])
    app.on_response_prepare.append(prove_answer)
    inner = web.Application()
    inner.router.add_get("/logs", say_who)
    app.add_subapp("/internal", inner)
    for prefix in ("", "/api"):
        app.router.add_get(prefix + "/genonaut/login", say_who)
        for path in ("/prompt", "/queue", "/ws", "/userdata/{file}", "/free", "/genonaut/{path:.*}", "/pack/do"):
            app.router.add_route("*", prefix + path, say_who)
        app.router.add_get(prefix + "/system_stats", say_stats)
        app.router.add_get(prefix + "/experiment/models", say_folders)
        app.router.add_get(prefix + "/view", find_nothing)
        app.router.add_get(prefix + "/v2/userdata", forbid)
    app.router.add_get("/api/jobs", say_who)
    app.router.add_get("/api/api/jobs", say_who)
    app.router.add_get("/", say_who)
    (folder / "style.css").write_text("p {}", encoding="utf-8")
    app.router.add_static("/", folder)
    return app


Opened = Callable[..., AbstractAsyncContextManager[Browser]]


@pytest.fixture
def opened(sidecar: KnowingSidecar, tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def open_it(cookie: str | None = None, **chosen: Any) -> AsyncIterator[Browser]:
        told = settings(**chosen)
        callers = Callers(sidecar, known_outlast=told.passes_when_away)  # type: ignore[arg-type] # all that is used of it
        doorkeeper = Doorkeeper(told, sidecar, callers, SOCKETS)  # type: ignore[arg-type] # same
        cookies = {"genonaut_session": cookie} if cookie else {}
        async with TestClient(TestServer(comfyui(doorkeeper, tmp_path)), cookies=cookies) as browser:
            yield browser

    return open_it


async def kind_of(answer: ClientResponse) -> tuple[int, str]:
    """Status and kind of a refusal, which has ComfyUI's shape."""
    told = await answer.json()
    assert set(told) == {"error", "node_errors"}
    assert set(told["error"]) == {"type", "message", "details", "extra_info"}
    return answer.status, told["error"]["type"]


async def test_in_open_access_everybody_is_the_local_owner_and_nobody_is_asked(
    opened: Opened, sidecar: KnowingSidecar
) -> None:
    """Whatever they show or do not show."""
    async with opened(access="open") as browser:
        answers = [await (await browser.request(method, "/queue")).json() for method in ("GET", "POST")]
        missing = await browser.get("/view")
        body = await missing.read()

    assert answers == ["local", "local"]
    assert (missing.status, body) == (404, b"")
    assert sidecar.questions == []


@pytest.mark.parametrize(
    "path", ["/", "/queue", "/api/genonaut/api/v1/me", "/style.css", "/genonaut/login", "/nowhere"]
)
async def test_open_access_beyond_this_computer_answers_nothing(opened: Opened, path: str) -> None:
    """Not even the sidecar; the sentence says what to set."""
    async with opened(access="open", is_open_to_others=True) as browser:
        answer = await browser.get(path, headers=as_sidecar("GET", path))
        told = await answer.json()

        page = await browser.get(path, headers=NAVIGATION)
        shown = await page.text()

    assert (answer.status, told["error"]["type"]) == (503, "access_open_to_others")
    assert "GENONAUT_ACCESS=accounts" in told["error"]["message"]
    assert (page.status, page.content_type) == (503, "text/html")
    assert "GENONAUT_ACCESS=accounts" in shown


@pytest.mark.parametrize("access", ["open", "accounts", "proxy"])
async def test_a_sidecar_that_lets_in_others_than_the_pack_is_not_believed(
    opened: Opened, sidecar: KnowingSidecar, access: str
) -> None:
    """With open access it would say of everybody that they are the local owner."""
    sidecar.access_is = "open" if access != "open" else "accounts"
    told = settings(access=access)
    doorkeeper = Doorkeeper(told, sidecar, Callers(sidecar), SOCKETS)  # type: ignore[arg-type] # all that is used of it
    doorkeeper.agreement.told(sidecar.access_is)
    app = web.Application(middlewares=[doorkeeper.answer])
    app.router.add_get("/queue", say_who)
    async with TestClient(TestServer(app), cookies={"genonaut_session": "ada"}) as browser:
        refused = await kind_of(await browser.get("/queue"))
        doorkeeper.agreement.told(None)  # it has gone, and is asked anew
        sidecar.access_is = access
        answer = await browser.get("/queue")

    assert refused == (503, "access_differs")
    assert answer.status == 200


async def test_a_sidecar_that_has_said_nothing_yet_is_asked_whom_it_lets_in(
    opened: Opened, sidecar: KnowingSidecar
) -> None:
    """Before it is believed who somebody is."""
    sidecar.access_is = "open"
    async with opened("ada") as browser:
        assert await kind_of(await browser.get("/queue")) == (503, "access_differs")

    assert sidecar.questions == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/queue"),
        ("HEAD", "/queue"),
        ("POST", "/prompt"),
        ("GET", "/api/jobs"),
        ("GET", "/api/api/jobs"),
        ("GET", "/internal/logs"),
        ("GET", "/%71ueue"),
        ("GET", "/ws"),
        ("GET", "/"),
        ("POST", "/nowhere"),
        ("POST", "/style.css"),
        ("PROPFIND", "/queue"),
        ("GET", "/pack/do"),
    ],
)
async def test_without_credentials_nothing_is_answered(
    opened: Opened, sidecar: KnowingSidecar, method: str, path: str
) -> None:
    """However the address is written; and the sidecar is not troubled."""
    async with opened() as stranger:
        answer = await stranger.request(method, path)
        if method != "HEAD":
            assert await kind_of(answer) == (401, "not_logged_in")

    assert answer.status == 401
    assert sidecar.questions == []


async def test_somebody_who_opens_a_page_gets_the_login_page_in_its_place(opened: Opened) -> None:
    """With 401, and never kept by anybody; static files are for everybody."""
    async with opened() as stranger:
        page = await stranger.get("/", headers=NAVIGATION)
        text = await page.text()
        also = await stranger.get("/style.css", headers=NAVIGATION)
        style = await stranger.get("/style.css")
        beside = await (await stranger.get("/genonaut/api/v1/me")).json()

    assert (page.status, page.content_type, page.headers["Cache-Control"]) == (401, "text/html", "no-store")
    assert "Genonaut" in text
    assert (also.status, also.content_type) == (401, "text/html")
    assert (style.status, style.content_type) == (200, "text/css")
    assert beside == ""  # the sidecar sees for itself; nothing here is anybody's


@pytest.mark.parametrize(
    "shown",
    [
        {"headers": {"Cookie": "genonaut_session=ada"}},
        {"headers": {"Authorization": "Bearer ada"}},
        {"params": {"token": "ada"}},
    ],
)
async def test_credentials_may_come_in_three_ways(opened: Opened, shown: dict[str, Any]) -> None:
    """The third in the address, where nothing else can be sent, and nowhere else."""
    async with opened() as browser:
        socket = await browser.get("/ws", **shown)
        queue = await browser.get("/queue", **shown)

    assert socket.status == 200
    assert queue.status == (401 if "params" in shown else 200)


async def test_credentials_that_are_good_for_nothing_are_told_so(opened: Opened) -> None:
    """With the sidecar's own words."""
    async with opened("stranger") as browser:
        assert await kind_of(await browser.get("/queue")) == (401, "credentials_invalid")


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("ada", "POST", "/prompt", 200),
        ("ada", "POST", "/userdata/x", 200),
        ("ada", "POST", "/free", 403),
        ("ada", "GET", "/internal/logs", 403),
        ("ada", "GET", "/pack/do", 200),
        ("ada", "POST", "/pack/do", 403),
        ("ada", "DELETE", "/api/pack/do", 403),
        ("ada", "PROPFIND", "/pack/do", 403),
        ("guest", "POST", "/prompt", 200),
        ("guest", "GET", "/userdata/x", 200),
        ("guest", "POST", "/userdata/x", 403),
        ("reader", "GET", "/queue", 200),
        ("reader", "POST", "/queue", 403),
        ("reader", "POST", "/prompt", 401),  # ComfyUI's page takes 403 there for a matter of its own accounts
        ("root", "POST", "/free", 200),
        ("root", "GET", "/internal/logs", 200),
        ("root", "POST", "/pack/do", 200),
    ],
)
async def test_roles_and_scopes_are_held_to(opened: Opened, who: str, method: str, path: str, status: int) -> None:
    """What the table says, and for routes that it does not know: looking, but for administrators nothing else."""
    async with opened(who) as browser:
        answer = await browser.request(method, path)

        assert answer.status == status, await answer.text()
        if status != 200:
            await kind_of(answer)


async def test_by_setting_unknown_routes_show_nothing_either(opened: Opened) -> None:
    """GENONAUT_UNKNOWN_ROUTES=refuse; administrators may still look."""
    async with opened("ada", allows_unknown_routes=False) as ada:
        assert (await ada.get("/pack/do")).status == 403
    async with opened("root", allows_unknown_routes=False) as root:
        assert (await root.get("/pack/do")).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://friend.example"}, 200),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "https://gpu.example", "X-Forwarded-Host": "gpu.example"}, 200),
        ({"Origin": "https://gpu.example:8443", "X-Forwarded-Host": "gpu.example"}, 200),  # as nginx's $host is
        ({"Origin": "https://gpu.example:8443", "X-Forwarded-Host": "gpu.example:9000"}, 403),
        ({"Origin": "http://127.0.0.1:9000", "X-Forwarded-Host": "127.0.0.1"}, 403),
    ],
)
async def test_another_websites_page_does_nothing_with_a_cookie(
    opened: Opened, headers: dict[str, str], status: int
) -> None:
    """Browsers send it along whoever asks; programs that say nothing of a page are none."""
    friend = frozenset({"https://friend.example"})
    async with opened("ada", allowed_origins=friend) as browser:
        posted = await browser.post("/queue", headers=headers)
        socket = await browser.get("/ws", headers=headers)
        looked = await browser.get("/queue", headers=headers)
    async with opened(allowed_origins=friend) as program:
        by_token = await program.post("/queue", headers={**headers, "Authorization": "Bearer ada"})

    assert (posted.status, socket.status, looked.status, by_token.status) == (status, status, 200, 200)


@pytest.mark.parametrize("access", ["open", "accounts", "proxy"])
async def test_what_browsers_ask_the_sidecar_before_a_named_pages_question_it_answers_itself(
    opened: Opened, access: str
) -> None:
    """Whoever asks for any other page, or about ComfyUI's own routes, is answered by ComfyUI: that it may nothing."""
    friend, enemy = {"Origin": "https://friend.example"}, {"Origin": "https://elsewhere.example"}
    async with opened(access=access, allowed_origins=frozenset(friend.values())) as browser:
        asked = (("/genonaut/api/v1/x", friend), ("/genonaut/api/v1/x", enemy), ("/queue", friend))
        answers = [await browser.options(path, headers=origin) for path, origin in asked]

        assert [bool(await answer.read()) for answer in answers] == [True, False, False]


async def test_while_the_sidecar_is_away_people_are_told_to_wait(opened: Opened, sidecar: KnowingSidecar) -> None:
    """503 with Retry-After, as a page for those who look at it; who shows nothing sees the login page."""
    sidecar.is_away = True
    async with opened("ada") as browser:
        asked = await browser.get("/queue")
        looked = await browser.get("/", headers=NAVIGATION)
        assert await kind_of(asked) == (503, "sidecar_away")
    async with opened() as stranger:
        login = await stranger.get("/", headers=NAVIGATION)

    assert asked.headers["Retry-After"] == looked.headers["Retry-After"] == "5"
    assert (looked.status, looked.content_type) == (503, "text/html")
    assert login.status == 401


async def test_what_was_asked_of_another_comfyui_is_not_done_here(opened: Opened) -> None:
    """All of them have one secret. The sidecar hears why; who passed its question on cannot have said so."""
    asked = pairing_of("paired").ask("POST", "/free", whom="another-process")
    async with opened() as browser:
        refused = await browser.post("/free", headers=asked.headers)
        body = await refused.read()
        changed = await browser.post("/free", headers=as_sidecar("POST", "/free", b"something"), data=b"something else")

    assert (refused.status, json.loads(body)["error"]["type"]) == (421, "misdirected")
    assert asked.is_answered_by(refused.headers[ANSWER_HEADER], 421, body)
    assert changed.status == 401
    assert ANSWER_HEADER not in changed.headers


async def test_a_stranger_in_the_place_of_the_sidecar_is_named(opened: Opened, sidecar: KnowingSidecar) -> None:
    """On the page, too: it is not a matter of waiting."""
    sidecar.is_a_stranger = True
    async with opened() as browser:
        told = await (await browser.get("/queue", headers=ADA)).json()
        page = await browser.get("/", headers={**NAVIGATION, **ADA})
        shown = await page.text()

    assert told["error"]["message"].startswith("Another program answers in the place of Genonaut")
    assert (page.status, "Another program answers in the place of Genonaut" in shown) == (503, True)


async def test_the_sidecar_itself_comes_as_everybody(opened: Opened) -> None:
    """It dispatches for all of them; whoever shows another secret is a stranger."""
    async with opened() as browser:
        paired = await (await browser.get("/queue", headers=as_sidecar("GET", "/queue"))).json()
        other = await browser.get("/queue", headers={"X-Genonaut-Pairing": "guessed"})

    assert paired == "everybody"
    assert other.status == 401


async def test_a_proxy_names_who_is_asking_only_in_proxy_access(opened: Opened, sidecar: KnowingSidecar) -> None:
    """The sidecar decides whether that proxy is to be believed: it is told where the request comes from."""
    headers = {"X-Remote-User": "ada", "X-Forwarded-For": "203.0.113.7"}
    async with opened(proxy_user_header="X-Remote-User") as browser:
        with_accounts = await browser.get("/queue", headers=headers)
    sidecar.access_is = "proxy"
    async with opened(access="proxy", proxy_user_header="X-Remote-User") as browser:
        with_proxy = await browser.get("/queue", headers=headers)

    assert (with_accounts.status, with_proxy.status) == (401, 200)
    asked = sidecar.questions[-1]
    assert (asked["forwarded_user"], asked["address"], asked["forwarded_for"]) == ("ada", "127.0.0.1", "203.0.113.7")


async def test_whatever_is_refused_is_told_as_json_whoever_refused_it(opened: Opened) -> None:
    """ComfyUI says it without a word or in plain text; programs can read neither."""
    async with opened("ada") as browser:
        answers = [await browser.get(path) for path in ("/view", "/nowhere", "/api/nowhere.png", "/v2/userdata")]
        kinds = [await kind_of(answer) for answer in (*answers, await browser.delete("/nowhere"))]
        sentence = (await answers[3].json())["error"]["message"]
        style = await browser.get("/style.css")

    assert kinds == [*[(404, "not_found")] * 3, (403, "forbidden"), (405, "method_not_allowed")]
    assert sentence == "Invalid directory"
    assert style.status == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", NAVIGATION, 200),
        ("/genonaut/login", NAVIGATION, 200),
        ("/style.css", NAVIGATION, 200),
        ("/", {"Sec-Fetch-Mode": "no-cors"}, 403),
        ("/pack/do", NAVIGATION, 403),
    ],
)
async def test_people_may_follow_a_link_of_another_website_to_our_pages(
    sidecar: KnowingSidecar, tmp_path: Path, path: str, headers: dict[str, str], status: int
) -> None:
    """An invitation comes by mail. Newer versions of ComfyUI refuse whatever another site leads to."""

    @web.middleware
    async def refuse_other_sites(request: web.Request, handler: Any) -> Any:
        return web.Response(status=403) if request.headers["Sec-Fetch-Site"] == "cross-site" else await handler(request)

    doorkeeper = Doorkeeper(settings(), sidecar, Callers(sidecar), SOCKETS)  # type: ignore[arg-type] # all that is used of it
    app = comfyui(doorkeeper, tmp_path)
    app.middlewares.append(refuse_other_sites)
    async with TestClient(TestServer(app), cookies={"genonaut_session": "ada"}) as browser:
        answer = await browser.get(path, headers={**headers, "Sec-Fetch-Site": "cross-site"})

    assert answer.status == status


async def test_what_one_person_got_is_not_shown_to_the_next(opened: Opened) -> None:
    """They may share a browser, or a proxy that keeps answers; nobody else's page shows it in a frame."""
    async with opened("ada") as browser:
        answers = [await browser.get(path) for path in ("/queue", "/view", "/style.css")]

    assert {answer.headers["Vary"] for answer in answers} == {"Cookie, Authorization"}
    assert {answer.headers["X-Frame-Options"] for answer in answers} == {"SAMEORIGIN"}


async def test_a_pack_that_stands_in_front_is_named(sidecar: KnowingSidecar, caplog: pytest.LogCaptureFixture) -> None:
    """It was imported later, so nothing can be done about it; but whoever reads the log knows."""

    @web.middleware
    async def meddle(request: web.Request, handler: Any) -> Any:
        return await handler(request)

    doorkeeper = Doorkeeper(settings(), sidecar, Callers(sidecar), SOCKETS)  # type: ignore[arg-type] # all that is used of it
    await doorkeeper.say_who_stands_in_front(web.Application(middlewares=[doorkeeper.answer, meddle]))
    assert not caplog.records
    await doorkeeper.say_who_stands_in_front(web.Application(middlewares=[meddle, doorkeeper.answer]))

    assert __name__ in caplog.records[0].getMessage()


async def test_the_command_line_is_for_administrators(opened: Opened) -> None:
    """Folders, addresses and keys may stand in it; everything else of the machine is told."""
    async with opened("ada") as browser:
        told = await (await browser.get("/api/system_stats")).json()
    async with opened("root") as browser:
        whole = await (await browser.get("/api/system_stats")).json()

    assert told["system"] == {"os": "posix", "argv": []}
    assert whole["system"]["argv"] == ["main.py", "--secret"]


async def test_where_models_lie_on_the_machine_is_for_administrators(opened: Opened) -> None:
    """Everybody hears what kinds there are, and what their folders are called."""
    async with opened("ada") as browser:
        told = await (await browser.get("/experiment/models")).json()
    async with opened("root") as browser:
        whole = await (await browser.get("/experiment/models")).json()

    assert told == [{"name": "loras", "folders": ["loras", "Lora"]}]
    assert whole == [{"name": "loras", "folders": FOLDERS}]


@pytest.mark.parametrize("path", ["/%2e%2e/comfyui.db", "/a/..%2f..%2fcomfyui.db"])
async def test_nobody_is_told_which_files_there_are_beside_the_frontend(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Not even asked: on Windows, a name may lead to another computer, which is shown who asks."""
    looked_for: list[Path] = []

    def is_file(file: Path) -> bool:
        looked_for.append(file)
        return True

    monkeypatch.setattr(Path, "is_file", is_file)
    async with opened() as browser:
        refused = await kind_of(await browser.get(URL(path, encoded=True)))

    assert refused == (404, "not_found")
    assert not [file for file in looked_for if ".." in file.parts or not file.is_relative_to(tmp_path)]


@pytest.mark.parametrize(("path", "status"), [("/free", 403), ("/pack/do", 403), ("/queue", 200), ("/", 200)])
async def test_a_link_of_another_website_starts_nothing(opened: Opened, path: str, status: int) -> None:
    """ComfyUI-Manager installs and starts anew on a GET, with which browsers send cookies when a link is followed."""
    followed = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
    async with opened("root") as browser:
        answer = await browser.get(path, headers=followed)
        typed = await browser.get(path, headers={**followed, "Sec-Fetch-Site": "none"})

    assert (answer.status, typed.status) == (status, 200)
