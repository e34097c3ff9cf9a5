"""
The page on which people log in: one answer, with everything that it needs in it.

It is shown in the place of whatever somebody wanted to open, so that they are there once they have logged in; and at
``/genonaut/login``, to which invitations (``#invite=CODE``) and the first administrator's link (``#first=SECRET``) go.
"""

from __future__ import annotations

import base64
import hashlib
import html
from functools import lru_cache
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).resolve().parent


def login_page(access: str, *, status: int = 200) -> web.Response:
    """Show the page, for this way of letting people in."""
    page, policy = assembled("page.html")
    return as_answer(page.replace("{access}", access), policy, status)


def away_page(sentence: str, *, retry_after_s: int) -> web.Response:
    """Say that nobody can be let in at the moment; the page looks again by itself."""
    german = "Genonaut antwortet gerade nicht. Diese Seite versucht es von selbst noch einmal."
    answer = notice("One moment, please", sentence, german, state="turning")
    answer.headers["Retry-After"] = answer.headers["Refresh"] = str(retry_after_s)
    return answer


def closed_page(sentence: str) -> web.Response:
    """Say that nobody is let in until somebody has changed a setting."""
    german = "Dieses ComfyUI lässt niemanden ein, bis seine Einstellungen geändert sind."
    return notice("Closed", sentence, german, state="still")


def notice(heading: str, sentence: str, german: str, *, state: str) -> web.Response:
    page, policy = assembled("notice.html")
    for name, text in (("heading", heading), ("sentence", sentence), ("german", german), ("state", state)):
        page = page.replace(f"{{{name}}}", html.escape(text))
    return as_answer(page, policy, 503)


def as_answer(page: str, policy: str, status: int) -> web.Response:
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return web.Response(text=page, status=status, content_type="text/html", charset="utf-8", headers=headers)


@lru_cache
def assembled(name: str) -> tuple[str, str]:
    """Put style and script into a page; give it with the policy that allows exactly these two."""
    page = (FOLDER / name).read_text(encoding="utf-8")
    style = (FOLDER / "page.css").read_text(encoding="utf-8")
    script = (FOLDER / "page.js").read_text(encoding="utf-8") if "{script}" in page else ""
    policy = (
        f"default-src 'none'; style-src '{hash_of(style)}'; script-src '{hash_of(script)}'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return page.replace("{style}", style).replace("{script}", script), policy


def hash_of(content: str) -> str:
    """Name the content of an element as Content-Security-Policy does (CSP level 3, section 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
