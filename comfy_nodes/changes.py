"""What is changed in ComfyUI, so that all of it can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Changes:
    """Every change that can be taken back. One an installation."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        before = getattr(owner, name)
        setattr(owner, name, value)
        self._undo.append(lambda: setattr(owner, name, before))

    def wrap(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        """Put something in front of what stands there, which it is given."""
        self.set(owner, name, wrap(getattr(owner, name)))

    def insert(self, parts: Any, position: int, part: Any) -> None:
        """Put a part into a list, such as that of the middlewares."""
        parts.insert(position, part)
        self._undo.append(lambda: parts.remove(part))

    def append(self, parts: Any, part: Any) -> None:
        self.insert(parts, len(parts), part)

    def take_back(self) -> None:
        """Leave everything as it was, the last change first."""
        while self._undo:
            self._undo.pop()()
