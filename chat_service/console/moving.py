"""The history of a single server, taken to a cluster as what its log begins with."""

import asyncio
from pathlib import Path
from typing import Final

from nats.js import JetStreamContext

from chat_service import nats_connection
from chat_service.console.destination import Destination, reached
from chat_service.console.port import NotDone
from chat_service.log.snapshots import NoSnapshot, Snapshot, Snapshots
from chat_service.log.stream import SAFE_REPLICAS, LogStream, Origin, StreamState
from chat_service.nats_connection import UNREACHABLE
from chat_service.state.inspection import Findings, inspect

_ASK_WITHIN: Final = 5.0
_DONE_WITHIN: Final = 1_800.0


def import_(file: Path, destination: Destination) -> int:
    """Begin a cluster's log with an exported state; returns the seq that it goes on from.

    Its stream is not there yet. Epoch and seqs stay, so clients resume there. What was broken off
    may be done again. Raises NotDone, StartupError.
    """
    if not file.is_file():
        raise NotDone(f"there is no file {file}")
    found = inspect(file)
    _check(file, found)
    asyncio.run(_import(file, found, destination))
    return found.seq


def _check(file: Path, found: Findings) -> None:
    if found.faults:
        raise NotDone(f"{file} is damaged: {found.faults[0]}")
    if found.position:
        raise NotDone(
            f"{file} is a copy of a cluster's node, whose log is in NATS:"
            " chat-server restore FILE --same-log makes a node of it"
        )


async def _import(file: Path, found: Findings, destination: Destination) -> None:
    client = await reached(destination.nats)
    try:
        async with asyncio.timeout(_DONE_WITHIN):
            await _begin(client.jetstream(timeout=_ASK_WITHIN), file, found, destination)
    except (NoSnapshot, *UNREACHABLE) as failure:
        raise NotDone(f"JetStream does not take it: {failure!r}") from None
    finally:
        await nats_connection.close(client)


async def _begin(
    js: JetStreamContext, file: Path, found: Findings, destination: Destination
) -> None:
    """Publish the state, then make the stream: a node that finds the stream finds both."""
    stream = LogStream(js, destination.stream)
    origin = Origin(found.epoch, found.content)
    _check_new(destination, await stream.find(), origin)
    snapshots = Snapshots(js, destination.stream, destination.replicas or SAFE_REPLICAS)
    await snapshots.publish(Snapshot(found.epoch, 0, found.seq), file)
    _check_new(destination, await stream.open(destination.replicas, origin), origin)


def _check_new(destination: Destination, held: StreamState | None, origin: Origin) -> None:
    if held is not None and (held.epoch, held.base, held.last) != (*origin, 0):
        raise NotDone(
            f"there is a log already in the stream {destination.stream}: a history is where a log"
            " begins; name another stream by --nats-stream"
        )
