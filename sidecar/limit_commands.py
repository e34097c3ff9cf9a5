"""
`genonaut plan`, `quota` and `group`: limits for whoever sits at a terminal of the machine.

They work on the database itself, whether a sidecar runs or not; one that runs notices within five seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, TypeAlias, TypeVar, get_args

import msgspec

from sidecar.accounts import people
from sidecar.accounts.audit import COMMAND_LINE
from sidecar.accounts.models import User
from sidecar.cluster.bus import Bus
from sidecar.database import Database
from sidecar.errors import InvalidRequest, NotFound
from sidecar.field_faults import FieldFault, all_faults, explain
from sidecar.identity import now
from sidecar.limits.groups import Groups
from sidecar.limits.models import PlanOverride
from sidecar.limits.overrides import Overrides
from sidecar.limits.persons import Persons
from sidecar.limits.plan_book import PlanBook
from sidecar.limits.plans import Budget, Limits, OverLimit, Plans, Sensitivity
from sidecar.limits.schemas import (
    BudgetPatch,
    GroupPatch,
    LimitsPatch,
    NewGroup,
    NewOverride,
    NewPlan,
    PlanPatch,
    PlanView,
)
from sidecar.migrations import upgrade
from sidecar.quota.quotas import Quotas
from sidecar.quota.schemas import QuotaLimit
from sidecar.settings import Settings

IN_ONE_PAGE = 200
NO_LIMIT = "none"
HOW_TO_NAME = "such as generations_per_day=500; none: no such limit"
CHOICES = {"over_limit": get_args(OverLimit), "sensitivity": get_args(Sensitivity)}
DAYS_AT_MOST = 10_000

AS_IN_OPEN_ACCESS = (
    "as for everybody in open access; with accounts it is {plan} (set GENONAUT_ACCESS as the sidecar has it)"
)

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name
Wanted = TypeVar("Wanted")


@dataclass(frozen=True)
class Desk:
    """What the commands work with."""

    database: Database
    plan_book: PlanBook
    overrides: Overrides
    groups: Groups
    quotas: Quotas

    async def person(self, name: str) -> User:
        """
        Raises:
            NotFound: Nobody is called that.
        """
        async with self.database.reading() as session:
            known = await people.by_name(session, name)
        if known is None:
            raise NotFound(f"There is nobody called {name}. genonaut user list shows everybody.")
        return known


Command = Callable[[Desk, argparse.Namespace], Awaitable[list[str]]]


async def run(asked: argparse.Namespace, settings: Settings) -> list[str]:
    """
    Do what was asked; the answer, line by line.

    Raises:
        GenonautError: It cannot be done.
    """
    database = Database(settings.database_url)
    try:
        await upgrade(database.engine)
        plans = Plans(database, Bus(), settings)
        book = PlanBook(database, plans, settings)
        quotas = Quotas(database, plans, Persons(settings.access))
        desk = Desk(database, book, Overrides(database, plans), Groups(database, plans), quotas)
        command: Command = asked.do
        return await command(desk, asked)
    finally:
        await database.close()


def describe(parser: argparse.ArgumentParser, group: str) -> None:
    commands = parser.add_subparsers(dest=f"{group}_command", required=True)
    {"plan": describe_plans, "quota": describe_quota, "group": describe_groups}[group](commands)


def describe_plans(commands: Commands) -> None:
    commands.add_parser("list", help="every plan, and how many people have it").set_defaults(do=list_plans)
    add(commands, "show", show_plan, "the limits of a plan", "name")
    add(commands, "set", set_plan, "change limits of a plan, at once for all who have it", "name", limits=Limits)
    making = add(commands, "create", make_plan, "make a plan", "name", limits=Limits)
    making.add_argument("--like", metavar="PLAN", help="begin with the limits of this one; with none where not said")
    making.add_argument("--title", default="", help="what people read")
    add(commands, "delete", delete_plan, "delete a plan that nobody has", "name")


def describe_quota(commands: Commands) -> None:
    add(commands, "show", show_quota, "what holds for somebody now, what of it is used, and why", "user")
    giving = add(
        commands, "override", make_override, "give somebody other limits than their plan's", "user", limits=Limits
    )
    ending = giving.add_mutually_exclusive_group()
    ending.add_argument("--days", type=days, help="for how many days; until `clear` where nothing is said")
    ending.add_argument("--until", type=moment, metavar="DATE", help="such as 2026-12-24, or 2026-12-24T18:00+01:00")
    giving.add_argument("--reason", default="", help="why, for other administrators")
    add(commands, "clear", clear_overrides, "let somebody's plan alone say what holds", "user")


def describe_groups(commands: Commands) -> None:
    commands.add_parser("list", help="every group with its budget").set_defaults(do=list_groups)
    add(commands, "show", show_group, "the budget of a group, and who is in it", "name")
    add(commands, "create", make_group, "make a group whose members share a budget", "name", limits=Budget)
    add(commands, "set", set_group, "change the budget of a group", "name", limits=Budget)
    add(commands, "delete", delete_group, "delete a group; its members stay who they are", "name")
    for word, does, about in (("add", join_group, "have people in a group"), ("remove", leave_group, "and no longer")):
        add(commands, word, does, about, "name").add_argument("users", nargs="+", metavar="user")


def add(
    commands: Commands, word: str, does: Command, about: str, subject: str, *, limits: type[Budget] | None = None
) -> argparse.ArgumentParser:
    epilog = f"limits: {told_of_names(limits)}" if limits else None
    parser = commands.add_parser(word, help=about, epilog=epilog)
    parser.add_argument(subject)
    if limits:
        parser.add_argument("limits", nargs="+", metavar="limit=value", help=HOW_TO_NAME)
    parser.set_defaults(do=does)
    return parser


def days(text: str) -> timedelta:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= DAYS_AT_MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days: more than 0, at most {DAYS_AT_MOST}")
    return timedelta(days=number)


def moment(text: str) -> datetime:
    """Where it names no zone: as the clock of this machine has it."""
    try:
        return datetime.fromisoformat(text).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date: write it as 2026-12-24, or 2026-12-24T18:00+01:00"
        ) from None


async def list_plans(desk: Desk, _asked: argparse.Namespace) -> list[str]:
    return [told(plan) for plan in await desk.plan_book.list()]


async def show_plan(desk: Desk, asked: argparse.Namespace) -> list[str]:
    plan = await desk.plan_book.show(asked.name)
    return [told(plan), *each_of(plan.limits)]


async def set_plan(desk: Desk, asked: argparse.Namespace) -> list[str]:
    patch = PlanPatch(limits=read(asked.limits, LimitsPatch))
    plan = await desk.plan_book.change(asked.name, patch, COMMAND_LINE)
    return [told(plan), *each_of(plan.limits)]


async def make_plan(desk: Desk, asked: argparse.Namespace) -> list[str]:
    limits = read(asked.limits, LimitsPatch)
    wanted = NewPlan(name=asked.name, title=asked.title, like=asked.like, limits=limits)
    plan = await desk.plan_book.make(checked(wanted), COMMAND_LINE)
    return [told(plan), *each_of(plan.limits)]


async def delete_plan(desk: Desk, asked: argparse.Namespace) -> list[str]:
    await desk.plan_book.delete(asked.name, COMMAND_LINE)
    return [f"There is no plan {asked.name} any more."]


async def show_quota(desk: Desk, asked: argparse.Namespace) -> list[str]:
    user = await desk.person(asked.user)
    quota = await desk.quotas.of_user(user.id)
    overrides = [told_of_override(each) for each in await desk.overrides.list(user.id)]
    held = [] if quota.plan == user.plan else [AS_IN_OPEN_ACCESS.format(plan=user.plan)]
    return [f"{user.name}: plan {quota.plan}", *held, *map(told_of_limit, quota.limits), *overrides]


async def make_override(desk: Desk, asked: argparse.Namespace) -> list[str]:
    user = await desk.person(asked.user)
    expires_at = asked.until or (None if asked.days is None else now() + asked.days)
    wanted = NewOverride(read(asked.limits, LimitsPatch), expires_at, asked.reason)
    return [told_of_override(await desk.overrides.make(user.id, checked(wanted), COMMAND_LINE))]


async def clear_overrides(desk: Desk, asked: argparse.Namespace) -> list[str]:
    user = await desk.person(asked.user)
    count = await desk.overrides.take_back_all(user.id, COMMAND_LINE)
    return [f"Taken back: {count}. For {user.name} the plan {user.plan} says what holds."]


async def list_groups(desk: Desk, _asked: argparse.Namespace) -> list[str]:
    groups = await every(desk.groups.page)
    if not groups:
        return ["There is no group yet."]
    return [f"{counted(group.members)}  {group.name}: {in_one_line(group.limits)}" for group in groups]


async def show_group(desk: Desk, asked: argparse.Namespace) -> list[str]:
    group = await desk.groups.show((await desk.groups.find(asked.name)).id)
    members = await every(partial(desk.groups.members, group.id))
    return [f"{group.name}: {in_one_line(group.limits)}", *(f"  {member.name}" for member in members)]


async def make_group(desk: Desk, asked: argparse.Namespace) -> list[str]:
    group = await desk.groups.make(NewGroup(asked.name, read(asked.limits, BudgetPatch)), COMMAND_LINE)
    return [f"{group.name}: {in_one_line(group.limits)}"]


async def set_group(desk: Desk, asked: argparse.Namespace) -> list[str]:
    found = await desk.groups.find(asked.name)
    group = await desk.groups.change(found.id, GroupPatch(limits=read(asked.limits, BudgetPatch)), COMMAND_LINE)
    return [f"{group.name}: {in_one_line(group.limits)}"]


async def delete_group(desk: Desk, asked: argparse.Namespace) -> list[str]:
    group = await desk.groups.find(asked.name)
    await desk.groups.delete(group.id, COMMAND_LINE)
    return [f"There is no group {group.name} any more."]


async def join_group(desk: Desk, asked: argparse.Namespace) -> list[str]:
    group = await desk.groups.find(asked.name)
    users = [await desk.person(name) for name in asked.users]  # all of them, or nobody
    for user in users:
        await desk.groups.add(group.id, user.id, COMMAND_LINE)
    return await show_group(desk, asked)


async def leave_group(desk: Desk, asked: argparse.Namespace) -> list[str]:
    group = await desk.groups.find(asked.name)
    users = [await desk.person(name) for name in asked.users]
    for user in users:
        await desk.groups.remove(group.id, user.id, COMMAND_LINE)
    return await show_group(desk, asked)


async def every(page_of: Callable[..., Awaitable[Any]]) -> list[Any]:
    """What all pages hold."""
    page = await page_of(limit=IN_ONE_PAGE, cursor=None)
    items = list(page.items)
    while page.next_cursor is not None:
        page = await page_of(limit=IN_ONE_PAGE, cursor=page.next_cursor)
        items += page.items
    return items


def read(pairs: list[str], wanted: type[Wanted]) -> Wanted:
    """
    What `limit=value` says.

    Raises:
        InvalidRequest: It names each that cannot be.
    """
    given: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InvalidRequest(f"{pair!r} does not say of what: write limit=value, {HOW_TO_NAME}.")
        given[name] = None if value.casefold() == NO_LIMIT else number_or_text(value)
    return converted(given, wanted)


def checked(wanted: Wanted) -> Wanted:
    """
    The same: what argparse puts together, nobody has looked at.

    Raises:
        InvalidRequest: It names each fault.
    """
    return converted(msgspec.to_builtins(wanted), type(wanted))


def converted(given: Any, wanted: type[Wanted]) -> Wanted:
    faults = []
    for field, message in all_faults(given, wanted):
        fault = explain(message)
        name = ".".join(part for part in (field, fault.member) if part)
        faults.append(f"{name}: {sentence_of(fault, name, wanted)}")
    if faults:
        raise InvalidRequest(" ".join(faults))
    return msgspec.convert(given, wanted)


def sentence_of(fault: FieldFault, name: str, wanted: Any) -> str:
    """The same fault in the words of a terminal."""
    if fault.code == "unknown_field":
        return f"There is no such limit. There are: {told_of_names(wanted)}."
    if name in CHOICES:
        return f"Must be {' or '.join(CHOICES[name])}."
    if fault.code == "malformed":
        return "Only small letters, digits, - and _."
    return fault.sentence.replace(" or null", f" or {NO_LIMIT}")


def told_of_names(limits: Any) -> str:
    names: list[str] = list(limits.__struct_fields__)
    return ", ".join(f"{name} ({', '.join(CHOICES[name])})" if name in CHOICES else name for name in names)


def number_or_text(value: str) -> int | float | str:
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


def told(plan: PlanView) -> str:
    return f"{counted(plan.people)}  {plan.name} ({plan.title})"


def counted(people: int) -> str:
    return f"{people:>5} {'person' if people == 1 else 'people'}"


def each_of(limits: Limits) -> list[str]:
    return [f"  {name:<22}{NO_LIMIT if value is None else value}" for name, value in named(limits).items()]


def in_one_line(limits: Budget) -> str:
    said = ", ".join(f"{name}={value}" for name, value in named(limits).items() if value is not None)
    return said or "no limit"


def named(limits: Budget) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in limits.__struct_fields__}


def told_of_limit(limit: QuotaLimit) -> str:
    whose = "" if limit.group is None else f"  (group {limit.group})"
    used = "" if limit.used is None else f"{shown(limit.used)} of "
    return f"  {limit.name:<22}{used}{shown(limit.allowed)}{whose}"


def told_of_override(override: PlanOverride) -> str:
    said = ", ".join(f"{name}={NO_LIMIT if value is None else value}" for name, value in override.limits.items())
    until = f"until {override.expires_at:%Y-%m-%d %H:%M} UTC" if override.expires_at else "until it is taken back"
    return f"instead, {until}: {said}" + (f" ({override.reason})" if override.reason else "")


def shown(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)
