"""Results as text: for the terminal and for Markdown."""

from collections.abc import Iterable, Sequence
from typing import Final

from bench.results import METRICS, Metric, Result

Row = Sequence[str]

_COLUMNS: Final = {
    **METRICS,
    # What a server has said of itself, and no load has seen.
    "loop_lag_p99_ms": Metric("loop lag p99, ms", 1),
    "loop_lag_max_ms": Metric("loop lag max, ms", 1),
}


def rows(results: Sequence[Result], titles: dict[str, str]) -> list[Row]:
    """Return the head and a row for each result; `titles` are those of the systems."""
    metrics = [key for key in _COLUMNS if any(key in it.values for it in results)]
    head = ["", "system", *([_COLUMNS[key].title for key in metrics] or [""])]
    return [head, *(_row(it, titles, metrics) for it in _by_case(results))]


def as_text(table: Sequence[Row]) -> str:
    """Return columns that line up."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(_aligned, row, widths, range(len(row)))) for row in table]
    return "\n".join(line.rstrip() for line in lines)


def as_markdown(table: Sequence[Row]) -> str:
    """Return a Markdown table; what is the same as in the row above is left out."""
    head, *body = table
    marks = ["---" if column < 2 else "---:" for column in range(len(head))]
    lines = [_cells(head), _cells(marks)]
    case = ""
    for row in body:
        lines.append(_cells(["" if row[0] == case else row[0], *row[1:]]))
        case = row[0]
    return "\n".join(lines)


def _by_case(results: Sequence[Result]) -> list[Result]:
    order = {case: place for place, case in enumerate(dict.fromkeys(it.case for it in results))}
    return sorted(results, key=lambda it: order[it.case])


def _row(result: Result, titles: dict[str, str], metrics: Iterable[str]) -> Row:
    values = [_written(result, key) for key in metrics] or [""]  # all have failed
    if result.failed:
        values[0] = "failed"
    return [result.case, titles.get(result.system, result.system), *values]


def _written(result: Result, key: str) -> str:
    value = result.values.get(key)
    return "" if value is None else f"{value:,.{_COLUMNS[key].digits}f}"


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def _cells(row: Row) -> str:
    return f"| {' | '.join(row)} |"
