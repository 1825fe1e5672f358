"""What a scenario finds out: one type for all of them, and what its numbers mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple


@dataclass(frozen=True, slots=True)
class Result:
    """One system in one case of a scenario."""

    system: str
    """The name of the system."""

    case: str
    """What was asked of it, in words."""

    x: float
    """What the cases differ in, as a number to plot against."""

    values: Mapping[str, float] = field(default_factory=dict)
    """By the keys of METRICS."""

    failed: str = ""
    """Why it counts for nothing."""


class Metric(NamedTuple):
    """How a number is headed and written."""

    title: str
    digits: int


METRICS: Final = {
    "deliveries_per_s": Metric("deliveries/s", 0),
    "messages_per_s": Metric("messages/s", 0),
    "cpu_us": Metric("server CPU, µs/delivery", 2),
    "cpu_us_message": Metric("server CPU, µs/message", 1),
    "server_cores": Metric("server cores", 2),
    "p50_ms": Metric("p50, ms", 2),
    "p99_ms": Metric("p99, ms", 2),
    "max_ms": Metric("max, ms", 1),
    "last_ms": Metric("to the last, ms", 1),
    "connects_per_s": Metric("connects/s", 0),
    "kib": Metric("KiB/session", 1),
    "send_p50_ms": Metric("send p50, ms", 2),
    "send_p99_ms": Metric("send p99, ms", 2),
    "page_p50_ms": Metric("page p50, ms", 2),
    "page_p99_ms": Metric("page p99, ms", 2),
    "resume_p50_ms": Metric("resume p50, ms", 2),
    "resume_p99_ms": Metric("resume p99, ms", 2),
}
"""In the order of the columns."""
