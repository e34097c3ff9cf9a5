"""A service of somebody else's that is asked what it thinks of a text, before anything is let in."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple
from uuid import UUID

import httpx
import msgspec
import structlog
from msgspec import Struct

from sidecar.comfyui.workflow_reader import Written
from sidecar.errors import ModerationAway
from sidecar.rules.book import Action
from sidecar.rules.inspection import Hit
from sidecar.seldom import Seldom
from sidecar.settings import Settings
from sidecar.standard_webhooks import read_key, signed
from sidecar.tasks import end

SERVICE = "moderation service"
"""By this name it stands among the rules that were gone against."""

ASKED_AT_ONCE = 16
REMEMBERED_S = 60.0
REMEMBERED_AT_MOST = 10_000
ANSWER_BYTES = 64 * 1024
REASON_CHARACTERS = 300
TRY_AGAIN_S = 10.0
ACTIONS: dict[str, Action] = {"flag": "flag", "refuse": "refuse"}

log = structlog.get_logger(__name__)


class Said(NamedTuple):
    """A text as the service is told of it."""

    text: str
    negative: bool


class Opinion(Struct, frozen=True):
    """What it answers."""

    action: str
    reason: str = ""

    def __post_init__(self) -> None:
        if self.action not in ("allow", *ACTIONS):
            raise ValueError(f"{self.action[:40]!r} is none of allow, flag, refuse")


class Unanswered(Exception):
    """It gave no answer that can be used. The message says why."""


class Moderation:
    """
    Asks it, a few questions at once, and remembers for a while what it has said of the same texts. One a process.

    Args:
        http: For tests.
    """

    def __init__(self, settings: Settings, http: httpx.AsyncClient | None = None) -> None:
        self._url = settings.moderation_url
        self._key = read_key(settings.moderation_secret)
        self._timeout_s = settings.moderation_timeout_s
        self._refuses_on_failure = settings.moderation_on_failure == "refuse"
        self._http = http or httpx.AsyncClient(timeout=self._timeout_s, trust_env=False)
        self._slots = asyncio.Semaphore(ASKED_AT_ONCE)
        self._asked: dict[bytes, asyncio.Task[Opinion]] = {}
        self._remembered: OrderedDict[bytes, tuple[float, Opinion]] = OrderedDict()
        self._seldom = Seldom(once_in_s=60.0, at_most=10)

    async def close(self) -> None:
        await end(*self._asked.values())
        await self._http.aclose()

    async def look_at(self, texts: Sequence[Written], user_id: UUID) -> tuple[Hit, ...]:
        """
        Ask what it thinks of everything that somebody has written; of nothing it is not asked.

        Raises:
            ModerationAway: It does not answer, and what it has not seen is not let in.
        """
        said = list(dict.fromkeys(Said(written.text, written.is_negative) for written in texts if written.text.strip()))
        if not said:
            return ()
        try:
            opinion = await self._opinion(said, user_id)
        except Unanswered as exc:
            if self._seldom.is_due(str(exc)):
                log.warning("moderation_unanswered", reason=str(exc), let_in=not self._refuses_on_failure)
            if self._refuses_on_failure:
                raise ModerationAway(retry_after_s=TRY_AGAIN_S) from exc
            return (hit_of(said, "not_moderated", f"The {SERVICE} did not answer: {exc}.", "log"),)
        action = ACTIONS.get(opinion.action)
        return () if action is None else (hit_of(said, "moderated", sentence_of(opinion), action),)

    async def _opinion(self, said: Sequence[Said], user_id: UUID) -> Opinion:
        """
        What it says, or has said a moment ago. Who asks the same meanwhile waits for the same answer.

        Raises:
            Unanswered: It does not say.
        """
        texts = msgspec.json.encode([text._asdict() for text in said])
        about_these = hashlib.sha256(texts).digest()
        until, opinion = self._remembered.get(about_these, (0.0, None))
        if opinion is not None and time.monotonic() < until:
            return opinion
        asked = self._asked.get(about_these) or self._begin(about_these, texts, user_id)
        await asyncio.wait({asked})
        if asked.cancelled():
            raise Unanswered(f"it took longer than {self._timeout_s} s")
        return asked.result()

    def _begin(self, about_these: bytes, texts: bytes, user_id: UUID) -> asyncio.Task[Opinion]:
        asked = self._asked[about_these] = asyncio.create_task(self._ask(texts, user_id))
        # The whole of it has that long, with its turn: httpx' own time-outs are for each piece.
        overdue = asyncio.get_running_loop().call_later(self._timeout_s, asked.cancel)
        asked.add_done_callback(partial(self._ended, about_these, overdue))
        return asked

    def _ended(self, about_these: bytes, overdue: asyncio.TimerHandle, asked: asyncio.Task[Opinion]) -> None:
        overdue.cancel()
        del self._asked[about_these]
        if asked.cancelled() or asked.exception() is not None:
            return
        self._remembered.pop(about_these, None)
        self._remembered[about_these] = time.monotonic() + REMEMBERED_S, asked.result()
        while len(self._remembered) > REMEMBERED_AT_MOST:
            self._remembered.popitem(last=False)

    async def _ask(self, texts: bytes, user_id: UUID) -> Opinion:
        body = b'{"texts":' + texts + b',"user_id":' + msgspec.json.encode(user_id) + b"}"
        async with self._slots:
            headers = {**signed(self._key, body), "content-type": "application/json", "accept": "application/json"}
            try:
                async with self._http.stream("POST", self._url, content=body, headers=headers) as response:
                    return await read_opinion(response)
            except httpx.HTTPError as exc:
                raise Unanswered(f"{type(exc).__name__}: {exc}"[:REASON_CHARACTERS]) from exc


async def read_opinion(response: httpx.Response) -> Opinion:
    """
    Raises:
        Unanswered: It is no answer.
    """
    if response.status_code != httpx.codes.OK:
        raise Unanswered(f"it answered with status {response.status_code}")
    content = b""
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > ANSWER_BYTES:
            raise Unanswered(f"its answer is longer than {ANSWER_BYTES} bytes")
    try:
        return msgspec.json.decode(content, type=Opinion)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise Unanswered(f"its answer cannot be read: {exc}"[:REASON_CHARACTERS]) from exc


def hit_of(said: Sequence[Said], code: str, message: str, action: Action) -> Hit:
    """It stands in all texts together: the service does not say in which."""
    return Hit(code, message, action, rule_name=SERVICE, text="\n".join(one.text for one in said))


def sentence_of(opinion: Opinion) -> str:
    reason = " ".join("".join(sign if sign.isprintable() else " " for sign in opinion.reason).split())
    because = f": {reason[:REASON_CHARACTERS].rstrip('.')}." if reason else "."
    return f"The {SERVICE} of this place does not allow what is written here{because} Change it and submit it again."


def moderation_of(settings: Settings) -> Moderation | None:
    """None: nobody is to be asked."""
    return Moderation(settings) if settings.moderation_url else None
