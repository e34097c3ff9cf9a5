"""
What the paired ComfyUI asks, and the proof that it is us who answer it (`sidecar/pairing.py` says how).

    guard `requires_pairing` -> `require_pairing`: was this asked with our secret?     QUESTION
    the answer               -> `ProvenAnswers`: with that question's answer proven
"""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from sidecar import pairing
from sidecar.errors import ClocksDiffer, NotPaired
from sidecar.pairing import ANSWER_HEADER, PAIRING_HEADER, SIDECAR, Question, pairing_of, target_of

QUESTION = "genonaut_question"
"""Where in a connection's state the proven question stands."""


async def require_pairing(request: Request[Any, Any, Any]) -> None:
    """
    Raises:
        NotPaired: Whoever asks does not prove that they have our secret.
        ClocksDiffer: They do, and one of the two clocks is wrong.
    """
    scope, state = request.scope, request.scope["state"]
    target = target_of(scope["path"], scope["query_string"].decode("latin-1"))
    known, shown = pairing_of(request.app.state.pairing_secret), request.headers.get(PAIRING_HEADER, "")
    try:
        question = known.check(shown, scope["method"], target, names=(SIDECAR,))
    except (pairing.NotProven, pairing.Misdirected) as exc:
        raise NotPaired from exc
    except pairing.ClocksDiffer as exc:
        state[QUESTION] = exc.question
        raise ClocksDiffer(str(exc)) from exc
    # Before the body is read: whoever sends too much is told so by us.
    state[QUESTION] = question
    if not question.is_about(await request.body()):
        del state[QUESTION]
        raise NotPaired


class ProvenAnswers:
    """Around the whole app: waits for the whole of such an answer, and proves it. One a process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun: list[Message] = []

        async def send_proven(message: Message) -> None:
            question: Question | None = scope["state"].get(QUESTION)
            if question is None:
                await send(message)
            elif message["type"] == "http.response.start":
                begun.append(message)
            else:
                while begun:
                    await send(proven(begun.pop(), message, question))
                await send(message)

        await self._app(scope, receive, send_proven)


def proven(start: Any, first: Any, question: Question) -> Message:
    """The beginning of an answer, with the proof of what follows; of what follows bit by bit, of itself alone."""
    proof = question.answer(start["status"], None if first["more_body"] else first["body"])
    start["headers"] = [*start["headers"], (ANSWER_HEADER.lower().encode(), proof.encode())]
    message: Message = start
    return message
