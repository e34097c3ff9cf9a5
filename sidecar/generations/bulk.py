"""
The same for many generations at once.

One transaction for each of them: everybody else's writes go on in between, and when the process dies in the middle,
what was done is done. Whoever got no answer asks again: each action leaves alone what it has done before.
"""

from __future__ import annotations

from uuid import UUID

from sidecar.errors import InvalidRequest, Refused
from sidecar.generations.dispatcher import Dispatcher
from sidecar.generations.editing import Editor
from sidecar.generations.schemas import BulkAction, BulkOutcome, BulkOutcomes
from sidecar.generations.trash import Trash


class Bulk:
    """Does the same with many generations. One a process."""

    def __init__(self, dispatcher: Dispatcher, trash: Trash, editor: Editor) -> None:
        self._dispatcher = dispatcher
        self._trash = trash
        self._editor = editor

    async def apply(self, owner_id: UUID, action: BulkAction) -> BulkOutcomes:
        """
        Raises:
            InvalidRequest: Tags are to be added, and none are named.
        """
        if action.action == "tag" and not action.tags:
            raise InvalidRequest(
                "Say which tags to add.",
                errors=({"field": "tags", "code": "required", "message": "Must name at least one tag."},),
            )
        return BulkOutcomes([await self._outcome(owner_id, each, action) for each in dict.fromkeys(action.ids)])

    async def _outcome(self, owner_id: UUID, generation_id: UUID, action: BulkAction) -> BulkOutcome:
        try:
            await self._apply_to(owner_id, generation_id, action)
        except Refused as exc:
            return BulkOutcome(generation_id, done=False, code=exc.code, message=exc.message)
        return BulkOutcome(generation_id, done=True)

    async def _apply_to(self, owner_id: UUID, generation_id: UUID, action: BulkAction) -> None:
        if action.action == "cancel":
            await self._dispatcher.cancel(owner_id, generation_id)
        elif action.action == "trash":
            await self._trash.put_in(owner_id, generation_id, cancel=action.cancel)
        elif action.action == "restore":
            await self._trash.take_out(owner_id, generation_id)
        else:
            await self._editor.add_tags(owner_id, generation_id, action.tags)
