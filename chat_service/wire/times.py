"""Times and spans as the contract has them."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp


def duration(seconds: float) -> Duration:
    """Return seconds as a protobuf Duration."""
    micros = round(seconds * 1_000_000)
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def seconds_of(it: Duration) -> float:
    """Return a protobuf Duration as seconds."""
    return float(it.seconds + it.nanos / 1e9)


def timestamp(micros: int) -> Timestamp:
    """Return microseconds since 1970 as a protobuf Timestamp."""
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def micros_of(it: Timestamp) -> int:
    """Return a protobuf Timestamp as microseconds since 1970."""
    return it.seconds * 1_000_000 + it.nanos // 1000
