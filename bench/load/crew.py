"""All processes of a load, as one: those who listen, those who send, and those who are apart."""

import time
from collections.abc import Sequence
from multiprocessing import get_context
from typing import Any, NamedTuple, Self

from bench.errors import LoadError
from bench.load.board import Board
from bench.load.plan import Flow, Seat
from bench.load.station import Tally
from bench.load.worker import Worker

_LISTENING = 2
"""Processes over which the crowd of readers is spread."""

_POLL = 0.005


class Door(NamedTuple):
    """A way into a server: the system whose clients come through it, and where they connect."""

    system: str
    address: str


class Crew:
    """A load on the server at an address. Those who are apart may have a door of their own."""

    def __init__(
        self, system: str, address: str, lanes: int = 1, apart: Door | None = None
    ) -> None:
        context = get_context("spawn")
        door = Door(system, address)
        doors = [door] * (_LISTENING + 1) + [apart or door]
        self.board = Board(context, len(doors), lanes)
        self._workers = [Worker(context, *door, self.board, i) for i, door in enumerate(doors)]
        *self._listening, self._sending, self._apart = self._workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for worker in self._workers:
            worker.close()

    def seat(self, seats: Sequence[Seat], *, every: bool = False) -> None:
        """Connect those who listen, and return when all are there."""
        crowd = [seat for seat in seats if not seat.apart]
        for number, worker in enumerate(self._listening):
            worker.tell("seat", crowd[number :: len(self._listening)], every)
        self._apart.tell("seat", [seat for seat in seats if seat.apart], every)
        for worker in (*self._listening, self._apart):
            worker.answer()

    def admit(self, flows: Sequence[Flow]) -> None:
        """Connect those who send."""
        self._sending.ask("admit", [flow for flow in flows if not flow.apart])
        self._apart.ask("admit", [flow for flow in flows if flow.apart])

    def start(self) -> None:
        """Let everybody send."""
        self._all("start")

    def stop(self) -> dict[int, int]:
        """Stop sending, and check that everything sent has arrived once and in order.

        Returns how many messages each lane had; raises LoadError.
        """
        sent = {lane: count for part in self._all("stop") for lane, count in part.items()}
        self._all("all_arrived", sent)
        return sent

    def send_one(self, deliveries: int, within: float = 60.0) -> None:
        """Let the senders send one message, and wait until it was delivered so many times."""
        expected = self.board.delivered() + deliveries
        given_up = time.monotonic() + within
        self._sending.ask("send_one")
        while self.board.delivered() < expected:
            if time.monotonic() > given_up:
                missing = expected - self.board.delivered()
                raise LoadError(f"{missing} of {deliveries} did not get the message")
            time.sleep(_POLL)

    def reset(self) -> None:
        """Forget the latencies so far."""
        self._all("reset")

    def tally(self) -> Tally:
        """Return what was seen since the last reset; raises LoadError if something was wrong."""
        whole = Tally()
        for part in self._all("tally"):
            whole.cpu += part.cpu
            whole.complaints += part.complaints
            for lane, latencies in part.latencies.items():
                if lane in whole.latencies:
                    whole.latencies[lane].merge(latencies)
                else:
                    whole.latencies[lane] = latencies
        if whole.complaints:
            raise LoadError("; ".join(whole.complaints))
        return whole

    def _all(self, command: str, *arguments: Any) -> list[Any]:
        for worker in self._workers:
            worker.tell(command, *arguments)
        return [worker.answer() for worker in self._workers]
