"""The records of a stream, in order and without holes, by one consumer at a time.

The server pushes what comes behind a position and counts what it sends; whatever is amiss with that
(a number is missing, nothing is heard, the connection was another one meanwhile) ends the consumer,
and the next one goes on from the last record that was kept. So nothing depends on what a client
library may drop. What the server sends ahead is bounded by its flow control: it is told to go on
only while there is room.

Servers that have lost the end of a stream number what comes then as they numbered what they have
lost. So the last record that was kept is asked for again, and has to be what it was: two histories
are never joined into one.
"""

import asyncio
import contextlib
import itertools
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from chat_service.log.backlog import Backlog
from chat_service.log.port import LogLost
from chat_service.log.stream import FORGOTTEN, Doubt, LogStream, StreamState, payload_lack
from chat_service.logs import Seldom, get
from chat_service.nats_connection import UNREACHABLE, why
from chat_service.wire.record import identify

_log = get("log")

_HEARTBEAT: Final = 1.0
SILENCE: Final = 2.5
"""Seconds without as much as a heartbeat after which a consumer is given up."""

_LOOK_EVERY: Final = 0.25
_TRY_EVERY: Final = 0.25
_FORGOTTEN_AFTER: Final = 30.0
"""Seconds after which the server takes away a consumer whose node is gone."""

_CLEAN_UP_WITHIN: Final = 1.0


class Consumer:
    """Fills a backlog with a stream's records behind a position; `run` is its one task."""

    def __init__(
        self, client: Client, js: JetStreamContext, stream: LogStream, name: str, backlog: Backlog
    ) -> None:
        self._client = client
        self._js = js
        self._stream = stream
        self._names = (f"{name}-{number}" for number in itertools.count(1))
        self._backlog = backlog
        self._position = 0
        """The last record that was kept before the present delivery."""
        self._record = ""
        """Its id, if that is known."""
        self._delivery: Delivery | None = None
        self._doubt = Doubt()
        self._trouble: str | None = None
        """Why it does not follow, as far as that is known."""
        self._failures = Seldom()
        self._ends = Seldom()

    @property
    def position(self) -> int:
        """The last record that was kept."""
        return self._position if self._delivery is None else self._delivery.position

    @property
    def follows(self) -> bool:
        """Whether the stream was found to go on from what was kept, on the present connection."""
        return self._delivery is not None and self._delivery.goes_on

    @property
    def trouble(self) -> str | None:
        """Why the log is not followed now; None if it is, or has just begun to be."""
        return None if self.follows else self._trouble

    async def run(self, epoch: str, position: int, record: str = "") -> None:
        """Deliver what is behind a position until cancelled.

        `record` is the id of the record there, if that is known. Raises LogLost if what comes next
        is not to be had any more.
        """
        self._position, self._record = position, record
        while True:
            if lack := payload_lack(self._client):
                raise LogLost(lack)
            try:
                state = await self._stream.look()
                reason = _why_lost(state, epoch, self._position)
                self._lack(reason or await self._deliver(state.first))
            except NotFoundError:
                self._lack(f"NATS has no stream {self._stream.name} any more")
            except UNREACHABLE as error:
                self._lack(None)
                self._trouble = why(error)
                if self._failures.due():
                    _log.info("the log cannot be followed now", reason=self._trouble)
            if self._client.is_closed:
                raise LogLost(f"NATS has ended the connection for good: {self._client.last_error}")
            await asyncio.sleep(_TRY_EVERY)

    def _lack(self, reason: str | None) -> None:
        """Raise LogLost if there has been a reason for long enough."""
        self._trouble = reason
        if self._doubt.settled(reason is not None) and reason is not None:
            raise LogLost(reason)

    async def _deliver(self, first: int) -> str | None:
        """Have one consumer deliver as long as all is well, from a stream with that first record.

        Returns what the stream lacks, if that is why nothing at all was delivered.
        """
        while self._backlog.is_full:  # noqa: ASYNC110  (there is plenty to take until then)
            await asyncio.sleep(_TRY_EVERY)
        start = self._position
        known = self._record if first <= start else ""  # else it was trimmed, as it may be
        delivery = Delivery(self._client, self._backlog, start, known)
        name = next(self._names)
        inbox = self._client.new_inbox()
        # Unbounded here, since its callback is quick and the flow control bounds what is sent.
        subscription = await self._client.subscribe(
            inbox, cb=delivery.take, pending_msgs_limit=0, pending_bytes_limit=0
        )
        try:
            await self._js.add_consumer(self._stream.name, _config(name, inbox, delivery.due))
            self._delivery = delivery
            self._failures.over()
            reason = await delivery.over()
            if self._ends.due():
                _log.info("following the log anew", reason=reason, behind=delivery.position)
        finally:
            # However it ends: what was kept is kept, and what still comes is not.
            self._delivery = None
            self._position = delivery.close()
            self._record = delivery.record or self._record
            await self._clean_up(subscription, name)
        return delivery.hole if self._position == start else None

    async def _clean_up(self, subscription: Subscription, name: str) -> None:
        with contextlib.suppress(*UNREACHABLE):
            async with asyncio.timeout(_CLEAN_UP_WITHIN):
                await subscription.unsubscribe()
                if self._client.is_connected:
                    await self._js.delete_consumer(self._stream.name, name)


class Delivery:
    """What one consumer delivers, as long as nothing of it is missing.

    It comes behind a position, with the record there in front if the id of that is known.
    """

    def __init__(self, client: Client, backlog: Backlog, position: int, known: str) -> None:
        self.position = position
        """The last record that was kept."""
        self.hole: str | None = None
        """What of the stream is not there, though it should be."""
        self._client = client
        self._connects = client.stats["reconnects"]
        self._backlog = backlog
        self._known = known
        self._last: bytes | None = None
        """The record at the position, if it has come: to be compared, or to be kept."""
        self._lost: str | None = None
        self._delivered = 0
        self._over: str | None = None
        self._unconfirmed: str | None = None
        self._wake = asyncio.Event()
        self._heard = self._now()

    @property
    def due(self) -> int:
        """The record that has to come next."""
        return self.position if self._known and self._last is None else self.position + 1

    @property
    def record(self) -> str:
        """The id of the record at the position; empty if it has not come."""
        return "" if self._last is None else identify(self._last)

    @property
    def goes_on(self) -> bool:
        """Whether what is delivered is known to come behind the position."""
        return self._over is None and self.due > self.position and self._is_connected

    @property
    def _is_connected(self) -> bool:
        return self._client.is_connected and self._client.stats["reconnects"] == self._connects

    async def over(self) -> str:
        """Watch until the consumer is of no more use; returns why. Raises LogLost, UNREACHABLE."""
        self._heard = self._now()
        while self._over is None:
            if not self._is_connected:
                return "the connection was lost"
            if self._now() - self._heard > SILENCE:
                return "nothing was heard"
            await self._confirm()
            await self._next_look()
        if self._lost is not None:
            raise LogLost(self._lost)
        return self._over

    def close(self) -> int:
        """Take nothing more; returns the last position that was kept."""
        self._end("it was left")
        return self.position

    async def take(self, message: Msg) -> None:
        """Take what the server has sent."""
        self._heard = self._now()
        if self._over is not None:
            return
        if message.headers is not None and "Status" in message.headers:
            self._take_status(message.headers, message.reply)
        else:
            self._take_record(message)

    def _take_record(self, message: Msg) -> None:
        sent, position = message.metadata.sequence.consumer, message.metadata.sequence.stream
        if sent != self._delivered + 1:
            self._end(f"delivery {self._delivered + 1} is missing")
        elif position != self.due:
            self.hole = f"record {self.due} was taken out of the stream"
            self._end(self.hole)
        elif position == self.position:
            self._delivered = sent
            self._compare(message.data)
        elif self._backlog.is_full:
            self._end("too much was sent")
        else:
            self._delivered = sent
            self.position, self._last = position, message.data
            self._backlog.put(position, message.data)

    def _compare(self, data: bytes) -> None:
        """Hold the record that was kept last against the one that the stream has in its place."""
        if identify(data) == self._known:
            self._last = data
        else:
            self._lost = (
                f"record {self.position} of the stream is not the one that was applied here:"
                f" {FORGOTTEN}"
            )
            self._end(self._lost)

    def _take_status(self, headers: dict[str, str], reply: str) -> None:
        """Take a heartbeat, or the question whether to go on."""
        if reply:
            self._unconfirmed = reply
        elif headers.get("Nats-Consumer-Stalled"):  # the answer was lost
            self._unconfirmed = headers["Nats-Consumer-Stalled"]
        if int(headers.get("Nats-Last-Consumer", self._delivered)) != self._delivered:
            self._end("what was delivered last is missing")
        self._wake.set()

    async def _confirm(self) -> None:
        """Let the server go on, if there is room."""
        if self._unconfirmed is not None and self._backlog.is_small:
            subject, self._unconfirmed = self._unconfirmed, None
            await self._client.publish(subject)

    async def _next_look(self) -> None:
        self._wake.clear()
        # Room comes without waking anybody: while a server waits for it, it is looked for often.
        pause = _LOOK_EVERY if self._unconfirmed is None else _LOOK_EVERY / 50
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()

    def _end(self, reason: str) -> None:
        self._over = self._over or reason
        self._wake.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _why_lost(state: StreamState, epoch: str, position: int) -> str | None:
    """Return why what comes behind a position is not to be had, if that is so."""
    if state.epoch != epoch:
        return "the stream was replaced by another one: its log is not the one of this data"
    if state.last < position:
        return (
            f"the stream ends at record {state.last}, and {position} were applied here: {FORGOTTEN}"
        )
    if state.first > position + 1:
        return (
            f"record {position + 1} is not in the stream any more, which begins at {state.first}:"
            " start the node again, so that it takes a snapshot"
        )
    return None


def _config(name: str, inbox: str, start: int) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        name=name,
        deliver_subject=inbox,
        deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=start,
        ack_policy=api.AckPolicy.NONE,
        max_deliver=1,
        flow_control=True,
        idle_heartbeat=_HEARTBEAT,
        inactive_threshold=_FORGOTTEN_AFTER,
        mem_storage=True,
        num_replicas=1,
    )
