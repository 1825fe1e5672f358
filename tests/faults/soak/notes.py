"""What a crowd remembers of all its seats."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

_COMPLAINTS: Final = 5


@dataclass
class Notes:
    """What was said and heard in private, and what was not as it should be."""

    whispered: set[str] = field(default_factory=set)
    """What was said in private."""
    overheard: Counter[str] = field(default_factory=Counter)
    """How often those whom it was for have heard it."""
    complaints: list[str] = field(default_factory=list)

    def complain(self, what: str) -> None:
        """Note what is wrong; the first few are enough."""
        if len(self.complaints) < _COMPLAINTS:
            self.complaints.append(what)


def lobby_text(number: int) -> str:
    """Return what is said in the lobby as its message of a number."""
    return f"lobby {number}"
