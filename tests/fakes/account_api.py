"""A scripted twin of the sidecar's HTTP about one's account: who is logged in, where, and which tokens there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Answer = tuple[int, Json | None]
"""Status, and content where there is any."""

PASSWORD = "correct horse battery staple"
A_TIME = "2026-01-02T03:04:05Z"


def session(number: int, **facts: Any) -> Json:
    whole: Json = {
        "id": f"{number:08x}-0000-7000-a000-000000000000",
        "is_current": False,
        "address": f"192.0.2.{number}",
        "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "created_at": A_TIME,
        "seen_at": A_TIME,
        "ends_at": "2999-01-01T00:00:00Z",
    }
    return {**whole, **facts}


@dataclass
class ScriptedAccount:
    """In open access, as long as nobody says otherwise."""

    access: str = "open"
    role: str = "member"
    name: str = "Ada Lovelace"
    password: str = PASSWORD
    id: str = "0"
    logged_in: bool = True
    sessions: list[Json] = field(default_factory=lambda: [session(1, is_current=True)])
    tokens: list[Json] = field(default_factory=list)

    def answer(self, command: str, path: str, body: Json) -> Answer:
        if path == "/me":
            return 200, self.me()
        if path == "/me/password":
            return self._change_password(body)
        if path == "/sessions/current":
            self.logged_in = False
            return 204, None
        return self._answer_list(command, path, body)

    def me(self) -> Json:
        whole = {"name": self.name, "role": self.role, "access": self.access, "plan": "standard"}
        return {**whole, "id": self.id, "scopes": ["read", "submit"], "session_id": self.sessions[0]["id"]}

    def _answer_list(self, command: str, path: str, body: Json) -> Answer:
        _, _, what, *identifier = path.split("/")
        items: list[Json] = getattr(self, what)
        if command == "GET":
            return 200, {"items": items}
        if command == "POST":
            return self._make_token(body)
        items[:] = [each for each in items if each["id"] not in identifier and (identifier or each["is_current"])]
        return 204, None

    def _make_token(self, body: Json) -> Answer:
        token = {"id": f"token-{len(self.tokens)}", "created_at": A_TIME, "used_at": None, **body}
        self.tokens.insert(0, token)
        return 201, {"token": token, "secret": "gno_a-secret-that-is-told-once"}

    def _change_password(self, body: Json) -> Answer:
        if body["current"] != self.password:
            return 401, {"code": "credentials_invalid", "detail": "Name or password is wrong."}
        self.password = body["new"]
        self.sessions[:] = [each for each in self.sessions if each["is_current"]]
        return 204, None
