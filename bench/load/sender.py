"""One user who sends, as fast as a window allows or at a rate."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count, cycle, islice

from bench.errors import LoadError
from bench.load.board import Board
from bench.load.message import now_us, text
from bench.load.plan import Flow
from bench.systems.port import Client

_STALLED = 30.0
"""Seconds without progress after which a load is given up."""

_SETTLED = 120.0
"""Seconds in which the server has to be done with all that was sent."""

_POLL = 0.001
"""Seconds between two looks at how far the readers are."""

_TIMER_SLACK_US = 2_000
"""How late the loop's timers may be. What is later is time that a message has waited to be sent."""


class Sender:
    """Sends the messages of a flow through a client that has entered."""

    def __init__(self, flow: Flow, client: Client, board: Board) -> None:
        self.flow = flow
        self.sent = 0
        self._client = client
        self._board = board
        self._targets = cycle(flow.targets)
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; `stop` waits for the end."""
        run: Callable[[], Awaitable[None]] = self._pace if self.flow.rate else self._flood
        self._task = asyncio.create_task(self._guarded(run), name=self.flow.user)

    async def stop(self) -> int:
        """Finish, or let a flow with a count finish; returns how many were sent and taken."""
        self._stopping = not self.flow.count
        if self._task is not None:
            await self._task
        await asyncio.wait_for(self._client.settle(), _SETTLED)
        return self.sent

    async def send_one(self) -> None:
        """Send the next message of the flow."""
        await self._send(1, now_us())

    async def _guarded(self, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except OSError as error:
            raise LoadError(f"{self.flow.user} lost its connection: {error}") from error

    async def _flood(self) -> None:
        flow, board = self.flow, self._board
        while not self._done():
            size = min(flow.frame, flow.count - self.sent) if flow.count else flow.frame
            if self.sent + size - board.slowest(flow.lane) > flow.window:
                await self._until_moved(board.slowest(flow.lane))
                continue
            await self._send(size, now_us())

    async def _pace(self) -> None:
        started = now_us()
        interval = 1_000_000 / self.flow.rate
        for number in count():
            due = started + int(number * interval)
            await asyncio.sleep(max(0, due - now_us()) / 1e6)
            if self._done():
                return
            now = now_us()  # which may also be a little early
            await self._send(1, min(now, max(due, now - _TIMER_SLACK_US)))

    def _done(self) -> bool:
        return self._stopping or (0 < self.flow.count <= self.sent)

    async def _send(self, size: int, stamp: int) -> None:
        texts = [text(seq, stamp) for seq in range(self.sent, self.sent + size)]
        targets = islice(self._targets, size)
        self.sent += size
        await self._client.send(list(zip(targets, texts, strict=True)))

    async def _until_moved(self, position: int) -> None:
        given_up = now_us() + _STALLED * 1e6
        while self._board.slowest(self.flow.lane) == position and not self._stopping:
            if now_us() > given_up:
                raise LoadError(f"{self.flow.user}: readers got nothing beyond {position}")
            await asyncio.sleep(_POLL)
