"""Signals as they travel between nodes: `chat.cluster.v1.Signal`."""

from google.protobuf.message import DecodeError

from chat.cluster.v1 import signal_pb2
from chat_service.core.signals import Departure, Heartbeat, Signal


def encode_signal(signal: Signal) -> bytes:
    """Encode a signal."""
    if isinstance(signal, Departure):
        departure = signal_pb2.Departure(instance=signal.instance)
        return signal_pb2.Signal(departure=departure).SerializeToString()
    heartbeat = signal_pb2.Heartbeat(
        instance=signal.instance,
        name=signal.name,
        version=signal.version,
        position=signal.position,
        digest=signal.digest,
        sessions=signal.sessions,
    )
    return signal_pb2.Signal(heartbeat=heartbeat).SerializeToString()


def decode_signal(data: bytes) -> Signal | None:
    """Decode a signal; None if it is none that this version knows."""
    try:
        signal = signal_pb2.Signal.FromString(data)
    except DecodeError:
        return None
    match signal.WhichOneof("kind"):
        case "heartbeat":
            it = signal.heartbeat
            return Heartbeat(it.instance, it.name, it.version, it.position, it.digest, it.sessions)
        case "departure":
            return Departure(signal.departure.instance)
        case _:
            return None
