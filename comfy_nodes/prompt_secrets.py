"""What a prompt brings along that must not be written down anywhere."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any

MOST_KEPT_SECRETS = 10_000
SECRETS_KEPT_AFTER_END_S = 900.0


class PromptSecrets:
    """
    The comfy.org tokens of held prompts, by generation: in memory only, never in a file or a database.

    They are put back whenever the prompt is dispatched, and kept for a while after it has ended: one that ran out of
    memory comes a second time. The oldest go first when there are too many.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._ended: OrderedDict[str, float] = OrderedDict()

    def split(self, extra_data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tell apart what may be written down and what must not."""
        secrets = {key: extra_data[key] for key in self.keys if key in extra_data}
        return {key: value for key, value in extra_data.items() if key not in secrets}, secrets

    def keep(self, generation_id: str, secrets: dict[str, Any]) -> None:
        if not secrets:
            return
        with self._lock:
            self._kept[generation_id] = secrets
            while len(self._kept) > MOST_KEPT_SECRETS:
                self._kept.popitem(last=False)

    def take(self, generation_id: str) -> dict[str, Any]:
        with self._lock:
            self._ended.pop(generation_id, None)  # it is not over
            return dict(self._kept.get(generation_id, {}))

    def has_ended(self, generation_id: str) -> None:
        """A run of it; whoever has ended some time ago does not come again."""
        with self._lock:
            if generation_id in self._kept:
                self._ended[generation_id] = time.monotonic()
            while self._ended and time.monotonic() - next(iter(self._ended.values())) > SECRETS_KEPT_AFTER_END_S:
                self._kept.pop(self._ended.popitem(last=False)[0], None)

    def forget(self, generation_id: str) -> None:
        with self._lock:
            self._kept.pop(generation_id, None)
