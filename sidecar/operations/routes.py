"""What an operator may ask."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from sidecar.accounts.audit import Actor
from sidecar.accounts.guards import requires_admin
from sidecar.operations.instance_desk import InstanceDesk
from sidecar.operations.queue_desk import QueueDesk
from sidecar.operations.schemas import InstanceList, InstancePatch, InstanceView, NewInstance, QueuePatch, QueueView


@get("/instances", guards=[requires_admin])
async def list_instances(instance_desk: NamedDependency[InstanceDesk]) -> InstanceList:
    """Every ComfyUI that gets work from here, with how it stands."""
    return InstanceList(await instance_desk.list())


@get("/instances/{instance_id:uuid}", guards=[requires_admin])
async def show_instance(instance_desk: NamedDependency[InstanceDesk], instance_id: FromPath[UUID]) -> InstanceView:
    """One instance as it stands now."""
    return await instance_desk.show(instance_id)


@post("/instances", guards=[requires_admin])
async def register_instance(data: JSONBody[NewInstance], instance_desk: NamedDependency[InstanceDesk]) -> InstanceView:
    """Register a ComfyUI. It gets work as soon as it answers."""
    return await instance_desk.register(data)


@patch("/instances/{instance_id:uuid}", guards=[requires_admin])
async def change_instance(
    data: JSONBody[InstancePatch], instance_desk: NamedDependency[InstanceDesk], instance_id: FromPath[UUID]
) -> InstanceView:
    """
    Rename an instance, drain or pause it, or let it work again.

    `draining`: it finishes what it has, gets nothing new, and is `paused` when it is done.
    `active`: it gets work, also when it had been set aside for its failures.
    """
    return await instance_desk.change(instance_id, data)


@delete("/instances/{instance_id:uuid}", guards=[requires_admin])
async def remove_instance(instance_desk: NamedDependency[InstanceDesk], instance_id: FromPath[UUID]) -> None:
    """Forget an instance that has nothing in its hands. What it made stays."""
    await instance_desk.remove(instance_id)


@get("/queue", guards=[requires_admin])
async def show_queue(queue_desk: NamedDependency[QueueDesk]) -> QueueView:
    """Whether anything goes, how much waits, and how much is under way."""
    return await queue_desk.show()


@patch("/queue", guards=[requires_admin])
async def change_queue(
    data: JSONBody[QueuePatch], queue_desk: NamedDependency[QueueDesk], actor: NamedDependency[Actor]
) -> QueueView:
    """
    Pause the whole queue, or let it go on.

    While it is paused everything is taken in and nothing goes to any ComfyUI; what is there runs to its end, so that
    all of them have drained when `in_flight` is 0. Whoever waits is told the reason. It survives restarts.
    """
    return await queue_desk.change(data, actor)


ROUTES: list[Any] = [
    Router(
        "/admin",
        route_handlers=[
            list_instances,
            show_instance,
            register_instance,
            change_instance,
            remove_instance,
            show_queue,
            change_queue,
        ],
    )
]
