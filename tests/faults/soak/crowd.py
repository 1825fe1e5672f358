"""Thousands of seats in one process. Its commands are given by a `CrowdProcess` in another."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

import grpc

from tests.faults.soak.notes import Notes, lobby_text
from tests.faults.soak.seats import LOBBY, LineSeat, RpcSeat, Seat
from tests.transports.stream import OPTIONS

STREAMS_A_CHANNEL: Final = 50
AT_ONCE: Final = 64
"""Seats that come or go at a time."""


@dataclass(frozen=True, slots=True)
class Roll:
    """Who there is: the even ones stay and talk, the odd ones may leave and come again."""

    sizes: dict[str, int]
    """How many of each transport."""

    def users(self, kind: str) -> list[str]:
        """Return the users of a transport."""
        return [f"{kind}-{number}" for number in range(self.sizes[kind])]

    def reachable(self) -> list[str]:
        """Return who gets what is said in private, at once or when it comes again.

        A TCP connection is a client of its own: who comes again is not told what was said before.
        """
        return [*self.users("grpc"), *self.users("tcp")[::2]]


class Crowd:
    """All seats of one transport. The coroutines are the commands."""

    def __init__(self, kind: str, address: str, roll: Roll) -> None:
        self._random = Random(kind)
        self._kind = kind
        self._reachable = roll.reachable()
        self._notes = Notes()
        self._channels: list[grpc.aio.Channel] = []
        self._speaking = asyncio.Lock()
        self._whispering: asyncio.Task[None] | None = None
        self._hushed = False
        make = self._stream if kind == "grpc" else self._line
        self._seats = [make(address, user) for user in roll.users(kind)]
        self._stayers, self._leavers = self._seats[::2], self._seats[1::2]

    async def come(self, said: int) -> int:
        """Let all come who are not here; returns how many that were."""
        away = [seat for seat in self._seats if not seat.here]
        await _few_at_once(seat.come(said) for seat in away)
        return len(away)

    async def go(self, count: int) -> None:
        """Let some leave, every other without a word."""
        going = self._random.sample(self._leavers, count)
        await _few_at_once(seat.go(abruptly=n % 2 == 1) for n, seat in enumerate(going))

    async def say(self, number: int) -> None:
        """Let somebody say the next message in the lobby."""
        async with self._speaking:
            await self._random.choice(self._stayers).say(LOBBY, lobby_text(number))

    async def behind(self, number: int) -> int:
        """Return how many of those who are here have yet to hear a message of the lobby."""
        return sum(seat.here and seat.heard < number for seat in self._seats)

    async def greet(self) -> None:
        """Let all who stay talk in private, to all of this transport who get it.

        From then on the server has at hand what it keeps of those who talk.
        """
        count = len(self._stayers)
        own = [user for user in self._reachable if user.startswith(f"{self._kind}-")]
        for start in range(0, len(own), count):
            users = own[start + 1 : start + count] + own[start : start + 1]
            await _few_at_once(map(self._whisper_to, self._stayers, users))

    async def whisper(self, per_second: float) -> None:
        """Begin to let random people talk in private."""
        self._whispering = asyncio.create_task(self._whisper(per_second))

    async def hush(self) -> None:
        """Let nobody talk in private any more."""
        self._hushed = True
        if self._whispering is not None:
            await self._whispering

    async def complaints(self) -> list[str]:
        """Return what was not as it should be."""
        return self._notes.complaints

    async def notes(self) -> Notes:
        """Return all that was noted so far."""
        return self._notes

    async def close(self) -> None:
        """Let all go."""
        if self._whispering is not None:
            self._whispering.cancel()
        for seat in self._seats:
            seat.here, here = False, seat.here
            if here and isinstance(seat, LineSeat):
                await seat.go(abruptly=True)
        for channel in self._channels:
            await channel.close()

    async def _whisper(self, per_second: float) -> None:
        while not self._hushed:
            await asyncio.sleep(self._random.expovariate(per_second))
            speaker = self._random.choice(self._stayers)
            async with self._speaking:
                await self._whisper_to(speaker, self._random.choice(self._reachable))

    async def _whisper_to(self, speaker: Seat, to: str) -> None:
        if to != speaker.user:
            text = f"{self._kind} whisper {len(self._notes.whispered) + 1}"
            self._notes.whispered.add(text)
            await speaker.say(f"@{to}", text)

    def _stream(self, address: str, user: str) -> Seat:
        if len(self._channels) * STREAMS_A_CHANNEL <= int(user.rpartition("-")[2]):
            self._channels.append(grpc.aio.insecure_channel(address, options=OPTIONS))
        return RpcSeat(user, self._notes, self._channels[-1])

    def _line(self, address: str, user: str) -> Seat:
        return LineSeat(user, self._notes, address)


async def _few_at_once(tasks: Iterable[Awaitable[None]]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(task: Awaitable[None]) -> None:
        async with gate:
            await task

    await asyncio.gather(*map(one, tasks))
