"""Lists on a terminal: aligned columns under a heading, or one JSON object a line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chat_service.logs import printable

Row = Mapping[str, Any]


def lines(columns: Sequence[str], rows: Sequence[Row], *, as_json: bool) -> Iterator[str]:
    """Return the lines of a list. Each row has a value for each column, None for none.

    What somebody else wrote is shown so that no terminal takes it for more than text.
    """
    if as_json:
        return (json.dumps(row) for row in rows)
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    return _aligned([[column.upper() for column in columns], *cells])


def moment(micros: int) -> str:
    """Return a time in microseconds since 1970 as ISO 8601, in UTC and whole seconds."""
    at = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else printable(str(value))


def _aligned(table: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()
