"""
`genonaut user`, `token` and `invite`: accounts for whoever sits at a terminal of the machine.

They work on the database itself, whether a sidecar runs or not; one that runs notices within five seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

from sidecar.accounts import desk
from sidecar.accounts.admin_routes import INVITE_PATH
from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.callers import Role, Scope
from sidecar.accounts.desk import Accounts
from sidecar.accounts.invites import Terms
from sidecar.accounts.models import ApiToken, User
from sidecar.accounts.people import Alteration, NewPerson
from sidecar.cluster.bus import Bus
from sidecar.database import Database
from sidecar.errors import InvalidRequest
from sidecar.generations.history import owns_anything
from sidecar.generations.stopping import stop_all
from sidecar.identity import now
from sidecar.migrations import upgrade
from sidecar.settings import Settings

SOME_AT_MOST = 1000
PLAN_WIDTH = 9  # of those that are shipped

Command = Callable[[Accounts, argparse.Namespace], Awaitable[list[str]]]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name


async def run(asked: argparse.Namespace, settings: Settings) -> list[str]:
    """
    Do what was asked; the answer, line by line.

    Raises:
        GenonautError: It cannot be done.
    """
    database = Database(settings.database_url)
    try:
        await upgrade(database.engine)
        accounts = desk.put_together(database, Bus(), settings, owns_anything, stop_all)
        command: Command = asked.do
        return await command(accounts, asked)
    finally:
        await database.close()


def describe(parser: argparse.ArgumentParser, group: str) -> None:
    commands = parser.add_subparsers(dest=f"{group}_command", required=True)
    {"user": describe_users, "token": describe_tokens, "invite": describe_invites}[group](commands)


def describe_users(commands: Commands) -> None:
    adding = commands.add_parser("add", help="make somebody an account; asks for the password, or reads it from a pipe")
    adding.add_argument("name")
    adding.add_argument("--role", type=Role, choices=list(Role), default=Role.MEMBER, metavar=each_of(Role))
    adding.add_argument("--plan", help="which limits hold for them")
    adding.add_argument("--no-password", action="store_true", help="a proxy or tokens say who they are")
    adding.set_defaults(do=add_user)
    commands.add_parser("list", help="everybody who has an account").set_defaults(do=list_users)
    for word, does in (("disable", disable_user), ("enable", enable_user), ("password", set_password)):
        parser = commands.add_parser(word, help=(does.__doc__ or "").rstrip("."))
        parser.add_argument("name")
        parser.set_defaults(do=does)
    changing = commands.add_parser("role", help="give somebody another role")
    changing.add_argument("name")
    changing.add_argument("role", type=Role, choices=list(Role), metavar=each_of(Role))
    changing.set_defaults(do=change_role)
    limiting = commands.add_parser("plan", help="give somebody another plan")
    limiting.add_argument("name")
    limiting.add_argument("plan", help="as `genonaut plan list` shows it")
    limiting.set_defaults(do=change_plan)


def describe_tokens(commands: Commands) -> None:
    making = commands.add_parser("create", help="make somebody an API token; it is shown once")
    making.add_argument("user", help="whose it is")
    making.add_argument("name", help="what it is for")
    making.add_argument(
        "--scope",
        type=Scope,
        choices=list(Scope),
        action="append",
        metavar=each_of(Scope),
        help="may be repeated; read and submit where nothing is said",
    )
    making.add_argument(
        "--days", type=some, help="for how many days it is good; until it is revoked where nothing is said"
    )
    making.set_defaults(do=make_token)
    listing = commands.add_parser("list", help="somebody's API tokens, without what they are")
    listing.add_argument("user")
    listing.set_defaults(do=list_tokens)
    revoking = commands.add_parser("revoke", help="make an API token good for nothing")
    revoking.add_argument("user")
    revoking.add_argument("id", type=UUID, help="as `list` shows it")
    revoking.set_defaults(do=revoke_token)


def describe_invites(commands: Commands) -> None:
    making = commands.add_parser("create", help="make a link with which people make themselves an account")
    making.add_argument("--role", type=Role, choices=list(Role), default=Role.MEMBER, metavar=each_of(Role))
    making.add_argument("--plan", help="which limits hold for them")
    making.add_argument("--uses", type=some, default=1, help="how many people (1)")
    making.add_argument("--days", type=some, default=7, help="for how many days (7)")
    making.set_defaults(do=make_invite)


def some(text: str) -> int:
    """A number of days or of people."""
    number = int(text)
    if not 1 <= number <= SOME_AT_MOST:
        raise ValueError
    return number


def each_of(kind: type[Role] | type[Scope]) -> str:
    return "|".join(each.value for each in kind)


async def add_user(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    password = None if asked.no_password else await ask_for_password()
    user = await accounts.people.add(NewPerson(asked.name, asked.role, asked.plan, password), COMMAND_LINE)
    return [told(user)]


async def list_users(accounts: Accounts, _asked: argparse.Namespace) -> list[str]:
    return [told(user) for user in await accounts.people.list()]


async def disable_user(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    """Let somebody in no longer; what is theirs stays, what is not made yet is cancelled."""
    user = await accounts.people.find(asked.name)
    altered = await accounts.people.change(user.id, Alteration(disabled=True), COMMAND_LINE)
    cancelled, interrupted = altered.stopped.cancelled, altered.stopped.interrupted
    what = [f"Cancelled: {cancelled} of theirs that waited, {interrupted} that ComfyUI had."]
    return [told(altered.user), *(what if cancelled + interrupted else ())]


async def enable_user(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    """Let somebody in again."""
    return await change(accounts, asked.name, Alteration(disabled=False))


async def change_role(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    return await change(accounts, asked.name, Alteration(role=asked.role))


async def change_plan(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    return await change(accounts, asked.name, Alteration(plan=asked.plan))


async def change(accounts: Accounts, name: str, alteration: Alteration) -> list[str]:
    user = await accounts.people.find(name)
    return [told((await accounts.people.change(user.id, alteration, COMMAND_LINE)).user)]


async def set_password(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    """Give somebody another password; ends all their sessions."""
    user = await accounts.people.find(asked.name)
    await accounts.people.set_password(user.id, await ask_for_password(), COMMAND_LINE)
    return [told(user)]


async def make_token(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    user = await accounts.people.find(asked.user)
    scopes = frozenset(asked.scope or (Scope.READ, Scope.SUBMIT))
    expires_at = None if asked.days is None else now() + timedelta(days=asked.days)
    _token, secret = await accounts.tokens.make(user.id, asked.name, scopes, expires_at, COMMAND_LINE)
    return [secret]


async def list_tokens(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    user = await accounts.people.find(asked.user)
    return [told_of_token(token) for token in await accounts.tokens.list(user.id)]


async def revoke_token(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    user = await accounts.people.find(asked.user)
    await accounts.tokens.revoke(user.id, asked.id, COMMAND_LINE)
    return ["It is good for nothing any more."]


async def make_invite(accounts: Accounts, asked: argparse.Namespace) -> list[str]:
    terms = Terms(
        asked.role, asked.plan or accounts.people.default_plan, asked.uses, now() + timedelta(days=asked.days)
    )
    _invite, code = await accounts.invites.make(terms, COMMAND_LINE)
    return [f"At ComfyUI's own address: {INVITE_PATH}{code}"]


def told(user: User) -> str:
    state = "disabled" if user.disabled_at else "enabled"
    return f"{user.role:<6}  {state:<8}  {user.plan:<{PLAN_WIDTH}}  {user.name}"


def told_of_token(token: ApiToken) -> str:
    until = f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "until revoked"
    return f"{token.id}  {until}  {' '.join(token.scopes)}  {token.name}"


async def ask_for_password() -> str:
    return await asyncio.to_thread(read_password)


def read_password() -> str:
    """
    Ask twice at a terminal, where nobody shall see it; else take the first line that comes in.

    Raises:
        InvalidRequest: It was not the same one twice.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise InvalidRequest("That was not the same password twice.")
    return password
