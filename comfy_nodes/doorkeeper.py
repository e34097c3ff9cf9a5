"""
Stands in front of all of ComfyUI's routes: who is asking, and may they?

    request -> which route was found -> its rule (access_rules) -> who is asking (caller) -> CALLER -> ComfyUI

It decides who may come in; that they see only what is theirs, those see to who hold the data and look at CALLER. In
open access everybody is the local owner, nobody is asked anything, and nothing else happens here.
"""

from __future__ import annotations

import logging
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from .access_rules import FRONTEND_FILES, Rule, path_of, rule_for
from .caller import ANONYMOUS, LOCAL_OWNER, Caller, Callers, Credentials, calling, read_credentials
from .client_sockets import ClientSockets
from .login_page import away_page, closed_page, login_page
from .own_names import is_loopback
from .pairing import PairingTrouble
from .prompt_body import BODY_TOO_LARGE
from .redaction import without_facts_for_admins
from .refusals import ASKED_BY, Refusals, mark_refused
from .settings import OPEN, PROXY, PackSettings
from .sidecar_client import SidecarAway, SidecarClient, SidecarRefused, SidecarStranger
from .wire import AWAY_RETRY_AFTER_S, Handler, away_answer, code_of, error_answer, is_paired

log = logging.getLogger("genonaut.door")

UNAUTHORIZED, FORBIDDEN, CLOSED = 401, 403, 503
BAD_REQUEST, INTERNAL_ERROR = 400, 500
SIDECARS = "/genonaut/{path}"
PAGES = frozenset({"/", "/genonaut/login", FRONTEND_FILES})
SAFE_METHODS = frozenset({"GET", "HEAD"})

OPEN_TO_EVERYBODY = (
    "This ComfyUI can be reached from other computers, and Genonaut is told to let everybody in "
    "(GENONAUT_ACCESS=open). Set GENONAUT_ACCESS=accounts, so that people log in, or start ComfyUI with "
    "--listen 127.0.0.1; then start it again."
)
ONLY_ADMINISTRATORS = "Only administrators may do this."
NOT_FOR_GUESTS = "Guests keep nothing here. Ask an administrator to make you a member."
NOT_LOGGED_IN = "Please log in."
NOT_FOUND = "There is no such thing here."
FOREIGN_PAGE = "This was asked for by a page of another website, so it was not done."
NOT_IN_THE_TABLE = (
    "Genonaut does not know what this does, so only administrators may use it. "
    "What some other pack of this ComfyUI adds is not safe for several people unless it is known to be."
)
AWAY = "Genonaut's sidecar does not answer at the moment, so nobody can be let in. Please try again in a few seconds."
STRANGER_ANSWERS = (
    "Another program answers in the place of Genonaut's sidecar, so nobody can be let in, and nothing is handed to it. "
    "ComfyUI's log tells its administrator what to do."
)


class Refusal(Exception):
    """This caller does not get this."""

    def __init__(self, status: int, kind: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.retry_after_s = retry_after_s


class Agreement:
    """
    Do the pack and the sidecar let the same people in?

    A sidecar with open access would tell the pack that everybody is the local owner.
    """

    def __init__(self, access: str, sidecar: SidecarClient) -> None:
        self._access = access
        self._sidecar = sidecar
        self._told: str | None = None

    def told(self, access: str | None) -> None:
        """The sidecar has said what its access is; None: it has gone, and another one may come."""
        if access not in (None, self._told, self._access):
            log.error("%s", self.sentence(access))
        self._told = access

    async def require(self) -> None:
        """
        Ask the sidecar if it has not said so.

        Raises:
            Refusal: They do not agree.
            SidecarAway: Nobody can say.
        """
        if self._told is None and self._access != OPEN:
            self.told(await self._sidecar.access())
        if self._told not in (None, self._access):
            raise Refusal(CLOSED, "access_differs", self.sentence(self._told))

    def sentence(self, told: str | None) -> str:
        return (
            f"ComfyUI's access is {self._access} and that of Genonaut's sidecar is {told}, so nobody is let in. "
            "Set GENONAUT_ACCESS to the same for both, and start both again."
        )


class Doorkeeper:
    """ComfyUI's outermost middleware. One a process."""

    def __init__(
        self, settings: PackSettings, sidecar: SidecarClient, callers: Callers, sockets: ClientSockets
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._callers = callers
        self._refusals = Refusals(sidecar.tell_refusals)
        self._user_header = settings.proxy_user_header if settings.access == PROXY else None
        self.agreement = Agreement(settings.access, sidecar)

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the request in as somebody, or refuse it. Whatever is refused is refused in ComfyUI's shape."""
        try:
            return await self._answer(request, handler)
        finally:
            self._refusals.hear(request)

    async def close(self) -> None:
        await self._refusals.close()

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            caller = await self._who_asks(request)
        except Refusal as exc:
            return self._refuse(request, exc)
        except SidecarAway as exc:
            sentence = STRANGER_ANSWERS if isinstance(exc, SidecarStranger) else AWAY
            if is_navigation(request):
                return away_page(sentence, retry_after_s=AWAY_RETRY_AFTER_S)
            return away_answer(sentence)
        with calling(caller):
            if self._is_for_a_named_page(request):
                return await request.match_info.handler(request)
            if caller is None or caller.has_everything:
                return await handler(request)
            request = as_opened_here(request)
            if path_of(request) == "/ws":
                find_again = partial(self._callers.find, self._credentials(request))
                return await self._sockets.serve(request, handler, caller, find_again)
            answer = without_facts_for_admins(path_of(request), caller, await answered(request, handler))
            return kept_apart(answer)

    async def say_who_stands_in_front(self, app: web.Application) -> None:
        """Warn of packs that were imported later and put something in front of us: it answers whom it likes."""
        in_front = app.middlewares[: app.middlewares.index(self.answer)]
        if in_front and self._settings.access != OPEN:
            names = ", ".join(getattr(part, "__module__", repr(part)) for part in in_front)
            log.warning("Other packs answer requests before Genonaut knows who is asking: %s.", names)

    async def show_login_page(self, request: web.Request) -> web.Response:
        """Answer ``GET /genonaut/login``."""
        return login_page(self._settings.access)

    def _refuse(self, request: web.Request, refusal: Refusal) -> web.Response:
        if refusal.status == FORBIDDEN:
            mark_refused(request, refusal.kind)
        if refusal.status == UNAUTHORIZED and is_navigation(request):
            return login_page(self._settings.access, status=UNAUTHORIZED)
        if refusal.status == CLOSED and is_navigation(request):
            return closed_page(refusal.message)
        # ComfyUI's page takes a 403 on this route for a matter of its own accounts.
        status = UNAUTHORIZED if refusal.status == FORBIDDEN and path_of(request) == "/prompt" else refusal.status
        return error_answer(status, refusal.kind, refusal.message, retry_after_s=refusal.retry_after_s)

    async def _who_asks(self, request: web.Request) -> Caller | None:
        """
        Say as whom the request may go on; None: it is the sidecar's.

        Raises:
            Refusal: It may not.
            SidecarAway: Nobody can say.
        """
        try:
            comes_from_sidecar = await is_paired(request, self._settings.pairing_secret)
        except PairingTrouble as exc:
            raise Refusal(*code_of(exc), str(exc)) from exc
        except web.HTTPRequestEntityTooLarge as exc:
            raise Refusal(exc.status, "body_too_large", BODY_TOO_LARGE) from exc
        if self._settings.is_open_to_others:
            raise Refusal(CLOSED, "access_open_to_others", OPEN_TO_EVERYBODY)
        return None if comes_from_sidecar else await self._let_in(request)

    async def _let_in(self, request: web.Request) -> Caller:
        """
        Say as whom the request may go on.

        Raises:
            Refusal: It may not.
            SidecarAway: Nobody can say.
        """
        if self._settings.access == OPEN:
            await self.agreement.require()
            return LOCAL_OWNER
        path = path_of(request)
        rule = None if path is None else self._rule_for(request.method, path)
        if is_for_everybody(request, path, rule):
            return ANONYMOUS
        credentials = self._credentials(request)
        caller = request[ASKED_BY] = await self._who(credentials)
        refuse_foreign_pages(request, path, credentials, self._settings.allowed_origins)
        if path is not None:
            require_right(request.method, rule, caller)
        return caller

    def _is_for_a_named_page(self, request: web.Request) -> bool:
        """
        Does a page that the settings name ask the sidecar something? The sidecar tells browsers what such a page may
        (CORS); ComfyUI would answer in its place what they ask before the question, and not what they must hear.
        """
        return request.headers.get("Origin") in self._settings.allowed_origins and path_of(request) == SIDECARS

    def _credentials(self, request: web.Request) -> Credentials:
        return read_credentials(request, path_of(request) or "", user_header=self._user_header)

    async def _who(self, credentials: Credentials) -> Caller:
        if not credentials.are_there:
            raise Refusal(UNAUTHORIZED, "not_logged_in", NOT_LOGGED_IN)
        await self.agreement.require()
        try:
            return await self._callers.find(credentials)
        except SidecarRefused as exc:
            raise Refusal(exc.status, exc.code, exc.detail, exc.retry_after_s) from exc

    def _rule_for(self, method: str, path: str) -> Rule | None:
        found = rule_for(method, path)
        if found is None and method in SAFE_METHODS and self._settings.allows_unknown_routes:
            return Rule.MEMBER
        return found


def is_for_everybody(request: web.Request, path: str | None, rule: Rule | None) -> bool:
    if request.method == "OPTIONS":  # ComfyUI answers these itself; browsers send no credentials with them
        return True
    if path == FRONTEND_FILES:
        return not is_navigation(request)
    return rule in (Rule.PUBLIC, Rule.OURS)


def require_right(method: str, rule: Rule | None, caller: Caller) -> None:
    """
    May this person use a route with this rule? None: the route is not in the table.

    Raises:
        Refusal: They may not.
    """
    if rule in (None, Rule.ADMIN) and not caller.is_admin:
        raise Refusal(FORBIDDEN, "admins_only", ONLY_ADMINISTRATORS if rule else NOT_IN_THE_TABLE)
    if rule is Rule.KEEPER and caller.is_guest:
        raise Refusal(FORBIDDEN, "not_for_guests", NOT_FOR_GUESTS)
    scope = "read" if method in SAFE_METHODS else "submit"
    if not caller.may(scope):
        raise Refusal(
            FORBIDDEN, "scope_missing", f"These credentials are not good for this: they lack the scope “{scope}”."
        )


def refuse_foreign_pages(
    request: web.Request, path: str | None, credentials: Credentials, allowed_origins: frozenset[str]
) -> None:
    """
    Refuse what another website's page asks a browser to do here with credentials that the browser adds by itself.

    Looking is left alone, since other pages cannot read the answer. A websocket they could read; and some routes do
    something although one only seems to look: ComfyUI-Manager starts ComfyUI anew when a link is followed.

    Raises:
        Refusal: It is that.
    """
    if not credentials.come_by_themselves or is_only_looked_at(request.method, path):
        return
    if not is_own_page(request) and request.headers.get("Origin") not in allowed_origins:
        raise Refusal(FORBIDDEN, "foreign_page", FOREIGN_PAGE)


def is_only_looked_at(method: str, path: str | None) -> bool:
    """Is this known to change nothing, and to be of no use to a page that cannot read the answer?"""
    if method not in SAFE_METHODS or path == "/ws":
        return False
    return path is None or rule_for(method, path) not in (None, Rule.ADMIN)


def is_own_page(request: web.Request) -> bool:
    """Was this asked for by a page of ours, or by no page at all? Browsers say so; programs say nothing."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    # No page can make a browser send X-Forwarded-Host, so it need not be known who wrote it.
    hosts = filter(None, [request.headers.get(name, "").lower() for name in ("Host", "X-Forwarded-Host")])
    return any(is_same_place(origin, host) for host in hosts)


def is_same_place(origin: str, host: str) -> bool:
    """
    Is it what the browser called us?

    Some proxies leave out the port. Then the name alone is compared: whoever answers at another port of it gets our
    cookies anyway. But another port of one's own machine is another program's.
    """
    try:
        place = urlsplit(origin)
    except ValueError:  # half an IPv6 address
        return False
    if host == place.netloc.lower():
        return True
    return host == place.hostname and not is_loopback(host)


def is_navigation(request: web.Request) -> bool:
    """Does somebody open this address in a browser, and would see what is answered?"""
    if request.method not in SAFE_METHODS:
        return False
    mode = request.headers.get("Sec-Fetch-Mode")
    return mode == "navigate" if mode is not None else "text/html" in request.headers.get("Accept", "")


def as_opened_here(request: web.Request) -> web.Request:
    """
    Let people follow a link of another website, or of their mail, to a page of ours.

    Newer versions of ComfyUI refuse whatever another site leads to, for want of knowing who is asking.
    """
    if path_of(request) not in PAGES or not is_navigation(request) or "Sec-Fetch-Site" not in request.headers:
        return request
    headers = request.headers.copy()
    headers["Sec-Fetch-Site"] = "none"
    return request.clone(headers=headers)


async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Have it answered; what is refused or not there is told in ComfyUI's error shape, whoever found that out."""
    if path_of(request) == FRONTEND_FILES and not is_file_of_frontend(request):
        return error_answer(404, "not_found", NOT_FOUND)
    try:
        answer = await handler(request)
    except web.HTTPException as exc:
        if exc.status < BAD_REQUEST:
            raise
        return as_error(exc.status, exc.reason, "")
    is_bare = isinstance(answer, web.Response) and (not answer.body or answer.content_type == "text/plain")
    if isinstance(answer, web.Response) and is_bare and BAD_REQUEST <= answer.status < INTERNAL_ERROR:
        return as_error(answer.status, answer.reason or "Refused", answer.text or "")
    return answer


def kept_apart(answer: web.StreamResponse) -> web.StreamResponse:
    """Tell browsers and proxies that another person gets another answer at the same address, and no frame around it."""
    if not answer.prepared:
        vary = [answer.headers["Vary"]] if "Vary" in answer.headers else []
        answer.headers["Vary"] = ", ".join([*vary, "Cookie", "Authorization"])
        answer.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    return answer


def as_error(status: int, reason: str, text: str) -> web.Response:
    """Say with what programs can read what ComfyUI says in plain text, or without a word."""
    kind = reason.lower().replace(" ", "_").replace("-", "_")
    return error_answer(status, kind, text or (NOT_FOUND if status == HTTPStatus.NOT_FOUND else f"{reason}."))


def is_file_of_frontend(request: web.Request) -> bool:
    """Is there such a file? ComfyUI finds that out only while it answers, and then says nothing."""
    route: Any = request.match_info.route
    folder: Path = route.resource.get_info()["directory"]
    file = Path(request.match_info["filename"])
    # Nothing elsewhere is looked for: on Windows that might ask another computer, and show it a password's hash.
    return not file.anchor and ".." not in file.parts and (folder / file).is_file()
