"""What the log of many nodes carries by itself: entries through JetStream to another node."""

import asyncio
import time
from dataclasses import dataclass, field

from bench.errors import LoadError
from bench.load.histogram import Histogram
from bench.load.message import text
from chat_service.core.commands import Entry, Send
from chat_service.log.jetstream import JetStreamLog
from chat_service.nats_connection import NatsSettings, close, connect

_POLL = 0.001
_WITHIN = 30.0
_STREAM = "bench"


@dataclass
class Carried:
    """Messages that came through, in so many seconds, and how late each was (ms)."""

    seconds: float
    messages: int = 0
    latencies: Histogram = field(default_factory=Histogram)


async def carry(url: str, seconds: float, rate: float) -> Carried:
    """Append at one end and follow at another; a rate of 0 is as fast as the log takes it.

    Raises LoadError if an entry was lost, doubled or out of order.
    """
    ends = [await connect(NatsSettings((url,), name)) for name in ("here", "there")]
    here, there = (
        JetStreamLog(client, _STREAM, name)
        for client, name in zip(ends, ("here", "there"), strict=True)
    )
    held = await here.stream.open(1)
    running = [asyncio.create_task(log.run(held.epoch, 0)) for log in (here, there)]
    draining = asyncio.create_task(_drain(here))
    carried = Carried(seconds)
    following = asyncio.create_task(_follow(there, carried))
    try:
        sent = await _append(here, seconds, rate)
        async with asyncio.timeout(_WITHIN):
            while carried.messages < sent:  # noqa: ASYNC110  (the follower has better to do)
                await asyncio.sleep(_POLL)
    except TimeoutError:
        raise LoadError(f"{sent - carried.messages} of {sent} entries did not arrive") from None
    finally:
        for task in (following, draining, *running):
            task.cancel()
        results = await asyncio.gather(following, draining, *running, return_exceptions=True)
        for client in ends:
            await close(client)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return carried


async def _append(log: JetStreamLog, seconds: float, rate: float) -> int:
    """Append until the time is over; returns how many entries."""
    started, sent = time.monotonic(), 0
    while (now := time.monotonic() - started) < seconds:
        due = int(now * rate) if rate else sent + 256
        while sent < due:
            await log.room()
            body = Send("#bench", text(sent, 0).decode(), sent + 1)
            log.append(Entry("here-1", sent + 1, "sender", b"", time.monotonic_ns(), body))
            sent += 1
        await asyncio.sleep(_POLL if rate else 0)
    return sent


async def _follow(log: JetStreamLog, carried: Carried) -> None:
    while True:
        await log.gathered(1)
        entries = [entry for record in log.take() for entry in record.entries]
        now = time.monotonic_ns()
        for entry in entries:
            carried.messages += 1
            if entry.ref != carried.messages:
                raise LoadError(f"entry {entry.ref} in the place of {carried.messages}")
            carried.latencies.add((now - entry.at) // 1_000)
        log.done(len(entries))


async def _drain(log: JetStreamLog) -> None:
    """Take what comes back to the end that appends, as a node does."""
    while True:
        await log.gathered(1)
        log.done(sum(len(record.entries) for record in log.take()))
