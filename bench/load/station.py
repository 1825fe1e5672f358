"""What one worker process does: its connections, and the commands that it takes."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.errors import LoadError
from bench.load.board import Board
from bench.load.histogram import Histogram
from bench.load.message import MARK, seq_at
from bench.load.plan import Flow, Seat
from bench.load.reader import Lane, Reader
from bench.load.sender import Sender
from bench.systems import DRIVEN
from bench.systems.port import Client

_AT_ONCE = 64
"""Connections that are being made at a time."""

_ENTER_TIMEOUT = 60.0
_STALLED = 30.0
_SURPLUS = 0.2
"""Seconds in which a message that comes once too often would show."""


@dataclass
class Tally:
    """What a worker has seen since the last reset."""

    latencies: dict[int, Histogram] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    cpu: float = 0.0
    """Seconds of CPU that the process has used altogether."""


class _Deaf:
    """The ears of one who only sends. What it hears is checked nowhere."""

    def __init__(self, user: str) -> None:
        self.user = user

    def received(self, data: bytes) -> None:
        """Ignore it."""

    def lost(self, why: str) -> None:
        """Ignore it: sending will fail."""


class _InTurn(Reader):
    """The ears of one who gets every so manieth message of a lane: its sender has many rooms."""

    def __init__(self, seat: Seat, lane: Lane) -> None:
        super().__init__(seat.user, lane)
        self._turn = seat.turn
        self._turns = seat.turns

    def begin(self) -> None:
        """Pass what comes before its first message; when everybody has their seat in the lane."""
        self._go_on_to(self._turn, 0)

    def missing(self, sent: int) -> int:
        """Return how many of its share are yet to come; negative: too many."""
        return len(range(self._turn, sent, self._turns)) - self.count

    def _take(self, data: bytes, first: int, last: int) -> None:
        count = data.count(MARK)
        begin, end = seq_at(data, first), seq_at(data, last)
        if begin != self._next or end != begin + (count - 1) * self._turns:
            self.lane.complain(
                f"{self.user}: {count} messages {begin}..{end} where {self._next} was due"
            )
        self.count += count
        self._time(data, first, last, count)
        # What lies between two of its messages is for others: nothing of it is missing here.
        self._go_on_to(end + self._turns, count)

    def _go_on_to(self, due: int, count: int) -> None:
        before, self._next = self._next, due
        self.lane.arrived(count, before, due)


class Station:
    """The connections of one worker. Its coroutines are the commands."""

    def __init__(self, system: str, address: str, board: Board, worker: int) -> None:
        self._connect = DRIVEN[system].clients(address)
        self._board = board
        self._worker = worker
        self._lanes: dict[int, Lane] = {}
        self._readers: list[Reader] = []
        self._clients: list[Client] = []
        self._senders: list[Sender] = []

    async def seat(self, seats: Sequence[Seat], every: bool) -> None:
        """Connect those who listen."""
        gate = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._seat(gate, seat, every) for seat in seats))
        for reader in self._readers:
            if isinstance(reader, _InTurn):
                reader.begin()

    async def admit(self, flows: Iterable[Flow]) -> None:
        """Connect those who send."""
        for flow in flows:
            client = self._connect(_Deaf(flow.user))
            rooms = [target for target in flow.targets if target.startswith("#")]
            await asyncio.wait_for(client.enter(flow.user, rooms, listen=False), _ENTER_TIMEOUT)
            self._clients.append(client)
            self._senders.append(Sender(flow, client, self._board))

    async def start(self) -> None:
        """Let everybody send."""
        for sender in self._senders:
            sender.start()

    async def send_one(self) -> None:
        """Let everybody send one message."""
        for sender in self._senders:
            await sender.send_one()

    async def stop(self) -> dict[int, int]:
        """Stop sending; returns how many messages each lane had."""
        sent = await asyncio.gather(*(sender.stop() for sender in self._senders))
        return {sender.flow.lane: count for sender, count in zip(self._senders, sent, strict=True)}

    async def reset(self) -> None:
        """Forget the latencies so far."""
        for lane in self._lanes.values():
            lane.latencies = Histogram()

    async def tally(self) -> Tally:
        """Return what was seen."""
        return Tally(
            {number: lane.latencies for number, lane in self._lanes.items()},
            [it for lane in self._lanes.values() for it in lane.complaints],
            time.process_time(),
        )

    async def all_arrived(self, sent: dict[int, int]) -> None:
        """Wait until every reader has everything; raises LoadError if it does not or has more."""
        given_up = time.monotonic() + _STALLED
        missing = self._missing(sent)
        while any(missing.values()):
            await asyncio.sleep(0.02)
            before, missing = missing, self._missing(sent)
            if missing != before:
                given_up = time.monotonic() + _STALLED
            elif time.monotonic() > given_up or any(it.complaints for it in self._lanes.values()):
                break
        await asyncio.sleep(_SURPLUS)
        self._judge(sent)

    async def close(self) -> None:
        """Let go of all connections."""
        for reader in self._readers:
            reader.closing = True
        await asyncio.gather(*(client.close() for client in self._clients))

    async def _seat(self, gate: asyncio.Semaphore, seat: Seat, every: bool) -> None:
        if seat.lane not in self._lanes:
            self._lanes[seat.lane] = Lane(self._board, self._worker, seat.lane, every)
        lane = self._lanes[seat.lane]
        reader = Reader(seat.user, lane) if seat.turns == 1 else _InTurn(seat, lane)
        self._readers.append(reader)
        lane.add_seat()
        client = self._connect(reader)
        self._clients.append(client)
        async with gate:
            await asyncio.wait_for(client.enter(seat.user, seat.rooms, listen=True), _ENTER_TIMEOUT)

    def _missing(self, sent: dict[int, int]) -> dict[str, int]:
        """Return by reader what is yet to come."""
        return {it.user: it.missing(sent.get(it.lane.number, 0)) for it in self._readers}

    def _judge(self, sent: dict[int, int]) -> None:
        wrong = [(user, count) for user, count in self._missing(sent).items() if count]
        complaints = [it for lane in self._lanes.values() for it in lane.complaints]
        if wrong or complaints:
            user, count = wrong[0] if wrong else ("nobody", 0)
            what = f"{len(wrong)} readers miss messages or have too many ({user}: {count})"
            raise LoadError("; ".join([what, *complaints]))
