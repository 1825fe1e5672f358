"""Who is next: each owner in turn, so that nobody waits the longer for what another asks for."""

from collections import deque
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Turns(Generic[_Item]):
    """What waits, by whose it is. Of one owner, the oldest comes first."""

    def __init__(self) -> None:
        self._of: dict[str, deque[_Item]] = {}

    def __bool__(self) -> bool:
        """Tell whether anything waits."""
        return bool(self._of)

    def add(self, owner: str, item: _Item) -> None:
        """Let an item wait."""
        self._of.setdefault(owner, deque()).append(item)

    def next(self) -> _Item:
        """Take what is next; its owner's next turn is behind those of all others."""
        owner = next(iter(self._of))
        waiting = self._of.pop(owner)
        item = waiting.popleft()
        if waiting:
            self._of[owner] = waiting
        return item
