"""
Stands in front of all of ComfyUI's routes: who is asking, and may they?

    request -> which route was found -> its rule (access_rules) -> who is asking (recognition) -> CALLER -> ComfyUI

It decides who may come in; that they see only what is theirs, those see to who hold the data and look at CALLER. In
open access everybody is the local owner, nobody is asked anything, and nothing else happens here.
"""

from __future__ import annotations

import logging
from functools import partial

from aiohttp import web

from .access_rules import FRONTEND_FILES, Rule, path_of, rule_for
from .agreement import CLOSED, Agreement
from .caller import ANONYMOUS, LOCAL_OWNER, Caller, calling
from .client_sockets import ClientSockets
from .credentials import Credentials, read_credentials
from .foreign_pages import as_opened_here, is_navigation, refuse_foreign_pages
from .login_page import away_page, closed_page, login_page
from .pairing import PairingTrouble
from .passed_on import answered, kept_apart
from .prompt_body import BODY_TOO_LARGE
from .recognition import Callers
from .redaction import without_facts_for_admins
from .refusals import ASKED_BY, Refusals, mark_refused
from .rights import FORBIDDEN, SAFE_METHODS, Refusal, require_right
from .settings import OPEN, PROXY, PackSettings
from .sidecar_client import SidecarAway, SidecarClient, SidecarRefused, SidecarStranger
from .wire import AWAY_RETRY_AFTER_S, Handler, away, away_answer, code_of, error_answer, is_paired

log = logging.getLogger("genonaut.door")

UNAUTHORIZED = 401
SIDECARS = "/genonaut/{path}"

OPEN_TO_EVERYBODY = (
    "This ComfyUI can be reached from other computers, and Genonaut is told to let everybody in "
    "(GENONAUT_ACCESS=open). Set GENONAUT_ACCESS=accounts, so that people log in, or start ComfyUI with "
    "--listen 127.0.0.1; then start it again."
)
NOT_LOGGED_IN = "Please log in."
AWAY = away("nobody can be let in")
STRANGER_ANSWERS = (
    "Another program answers in the place of Genonaut's sidecar, so nobody can be let in, and nothing is handed to it. "
    "ComfyUI's log tells its administrator what to do."
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
