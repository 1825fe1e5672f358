"""What a node appends to the stream: one record at a time, repeated until it is acknowledged.

A record that was sent has an unknown fate until then, and its entries wait; what gathers meanwhile
becomes the next record. So each sender's order is kept whatever is lost and repeated. Of a record
that was stored twice the server drops one, if it comes soon enough, and else the state does: its
number is not above the publisher's last.

Nothing is sent but while the log is followed. A stream of which the end is missing would be filled
up otherwise, and what was lost be harder to see.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext, api

from chat_service.core.commands import Entry
from chat_service.core.errors import Unavailable
from chat_service.core.record import record_id
from chat_service.log.backlog import MAX_BATCH, MAX_BATCH_BYTES
from chat_service.log.consumer import Consumer
from chat_service.log.port import LogLost
from chat_service.log.stream import FORGOTTEN, LogStream
from chat_service.logs import Seldom, get
from chat_service.nats_connection import UNREACHABLE, why
from chat_service.wire.record import encode_entry, encode_record

_log = get("log")

PATIENCE: Final = 2.0
"""Seconds without an acknowledgement after which what was not sent yet is refused."""

RETRY_AFTER: Final = 2.0
_ACKNOWLEDGED_WITHIN: Final = 2.0
_SENT_WITHIN: Final = 1.0
_TRY_EVERY: Final = 0.1
_SILENT: Final = "it acknowledges nothing"


class Publisher:
    """Appends entries as records numbered 1, 2, 3 … under its id; `run` is its one task.

    `on_refused` is called with entries that will never be appended, `on_acked` when a record is.
    """

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        stream: LogStream,
        consumer: Consumer,
        id_: str,
        on_refused: Callable[[Sequence[Entry], Unavailable], None],
        on_acked: Callable[[], None],
    ) -> None:
        self.id = id_
        self.acked = 0
        """The position of the last record that was acknowledged."""
        self.failing = False
        """Whether the log has not answered for a while."""
        self._client = client
        self._js = js
        self._stream = stream
        self._consumer = consumer
        self._on_refused = on_refused
        self._on_acked = on_acked
        self._number = 0
        self._waiting: deque[tuple[Entry, bytes]] = deque()
        self._arrived = asyncio.Event()
        self._sending = False
        self._trouble = _SILENT
        """Why the last record that was sent is not acknowledged."""
        self._failures = Seldom()

    @property
    def is_idle(self) -> bool:
        """Whether everything was acknowledged, or refused."""
        return not (self._waiting or self._sending)

    def append(self, entry: Entry) -> None:
        """Put an entry behind those that wait; while the log fails, it is refused in a moment."""
        self._waiting.append((entry, encode_entry(entry)))
        self._arrived.set()
        if self.failing:
            asyncio.get_running_loop().call_soon(self._refuse_waiting)

    async def run(self) -> None:
        """Append until cancelled; raises LogLost if the stream is seen to have lost something."""
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            failing = loop.call_later(PATIENCE, self._fail)
            try:
                await self._followed()
                await self._publish_waiting()
            finally:
                failing.cancel()
            self._recover()

    async def _publish_waiting(self) -> None:
        """Append as much of what waits as one record holds."""
        record = self._next_record()
        if record is None:  # it was refused meanwhile
            return
        self._sending = True
        self.acked = await self._acknowledged(record)
        self._sending = False
        self._on_acked()

    def _next_record(self) -> bytes | None:
        entries: list[bytes] = []
        room = MAX_BATCH_BYTES
        while self._waiting and len(entries) < MAX_BATCH:
            encoded = self._waiting[0][1]
            if entries and len(encoded) > room:
                break
            room -= len(encoded)
            entries.append(encoded)
            self._waiting.popleft()
        if not self._waiting:
            self._arrived.clear()
        if not entries:
            return None
        self._number += 1
        return encode_record(self.id, self._number, entries)

    async def _acknowledged(self, record: bytes) -> int:
        """Send a record until it is acknowledged; returns its position."""
        while True:
            kept = self._consumer.position
            try:
                ack = await self._send(record)
            except UNREACHABLE as error:
                self._trouble = why(error)
                if self._failures.due():
                    _log.info(
                        "a record was not acknowledged", number=self._number, reason=self._trouble
                    )
            else:
                _check_new(ack, kept)
                self._trouble = _SILENT
                self._failures.over()
                return ack.seq
            await asyncio.sleep(_TRY_EVERY)
            await self._followed()

    async def _send(self, record: bytes) -> api.PubAck:
        """Send a record once; raises UNREACHABLE if it is not acknowledged."""
        async with asyncio.timeout(_ACKNOWLEDGED_WITHIN + _SENT_WITHIN):
            return await self._js.publish(
                self._stream.subject,
                record,
                timeout=_ACKNOWLEDGED_WITHIN,
                stream=self._stream.name,
                headers={"Nats-Msg-Id": record_id(self.id, self._number)},
            )

    async def _followed(self) -> None:
        while not self._consumer.follows:  # noqa: ASYNC110  (connections tell nobody of their end)
            await asyncio.sleep(_TRY_EVERY)

    def _fail(self) -> None:
        self.failing = True
        _log.warning(
            "the log does not answer: refusing what comes",
            waiting=len(self._waiting),
            reason=self._reason,
        )
        self._refuse_waiting()

    @property
    def _reason(self) -> str:
        if not self._client.is_connected:
            return "there is no connection to NATS"
        return self._consumer.trouble or self._trouble

    def _recover(self) -> None:
        if self.failing:
            self.failing = False
            _log.info("the log answers again")

    def _refuse_waiting(self) -> None:
        if not (self.failing and self._waiting):
            return
        refused = [entry for entry, _ in self._waiting]
        self._waiting.clear()
        if not self._sending:
            self._arrived.clear()
        refusal = Unavailable("the log cannot be reached now", retry_after=RETRY_AFTER)
        self._on_refused(refused, refusal)


def _check_new(ack: api.PubAck, kept: int) -> None:
    """Raise LogLost if a record was stored where others had come from before it was sent.

    One that was there already, of which the first acknowledgement got lost, may have come since.
    """
    if ack.seq <= kept and not ack.duplicate:
        raise LogLost(
            f"what was appended just now is record {ack.seq} of the stream, and {kept} were applied"
            f" here: {FORGOTTEN}"
        )
