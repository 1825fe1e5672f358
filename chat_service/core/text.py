"""What is to be known of a text without a copy of it, and how people read a length of time."""

from math import ceil
from typing import Final

_UNITS: Final = {"d": 86_400, "h": 3_600, "min": 60}


def utf8_size(text: str) -> int:
    """Return how many bytes a text has in UTF-8; for ASCII, without encoding it."""
    return len(text) if text.isascii() else len(text.encode())


def span(seconds: float) -> str:
    """Return a length of time, rounded up, in the largest unit of which it has more than two."""
    whole = max(1, ceil(round(seconds, 3)))
    for unit, size in _UNITS.items():
        if whole > 2 * size:
            return f"{ceil(whole / size)} {unit}"
    return f"{whole} s"
