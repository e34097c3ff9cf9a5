"""How handlers get what they ask for by name."""

from __future__ import annotations

import asyncio

from litestar import Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.testing import AsyncTestClient

from sidecar.handing_over import hand_over_in_turn


async def this_task() -> str:
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()


async def its_task() -> str:
    return await this_task()


async def one_of_it(first: NamedDependency[str]) -> str:
    return f"made of {first}"


@get("/")
async def tell_tasks(
    first: NamedDependency[str], second: NamedDependency[str], built: NamedDependency[str]
) -> list[str]:
    return [await this_task(), first, second, built]


async def test_nothing_that_is_handed_over_needs_a_task_of_its_own():
    """Also what is made of something else that is asked for comes after it."""
    dependencies = {"first": Provide(this_task), "second": Provide(its_task), "built": Provide(one_of_it)}
    app = Litestar([tell_tasks], dependencies=dependencies, openapi_config=None, logging_config=None)
    hand_over_in_turn(app)
    async with AsyncTestClient(app) as client:
        its_own, first, second, built = (await client.get("/")).json()

    assert its_own == first == second
    assert built == f"made of {its_own}"
