"""Signals over core NATS: a subject that every node listens to.

The connection is the log's as well, so what is told must not wait behind a full buffer, nor fill
it: one task sends, from a queue that drops its oldest.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from chat_service.core.signals import Signal
from chat_service.logs import get
from chat_service.nats_connection import UNREACHABLE
from chat_service.wire.signal import decode_signal, encode_signal

_log = get("signals")

MAX_QUEUED = 256
"""Signals that wait to be sent, or to be heard."""

_MAX_QUEUED_BYTES = 1024 * 1024
_FLUSH_WITHIN = 5
_CLOSE_WITHIN = 1.0


class NatsSignals:
    """Tells and hears signals on a subject, over a connection that somebody else opens and closes.

    Raises nats.errors.Error from `listen` if the connection is closed.
    """

    def __init__(self, client: Client, subject: str) -> None:
        self._client = client
        self._subject = subject
        self._subscriptions: list[Subscription] = []
        self._queued: deque[Signal] = deque(maxlen=MAX_QUEUED)
        self._told = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    async def listen(self, hear: Callable[[Signal], None]) -> None:
        """Have `hear` called with each signal of any node that can be understood here."""
        if self._sending is None:
            self._sending = asyncio.create_task(self._send(), name="signals")

        async def receive(message: Msg) -> None:
            signal = decode_signal(message.data)
            if signal is not None:
                hear(signal)

        subscription = await self._client.subscribe(
            self._subject,
            cb=receive,
            pending_msgs_limit=MAX_QUEUED,
            pending_bytes_limit=_MAX_QUEUED_BYTES,
        )
        self._subscriptions.append(subscription)
        # Subscribed is what the server has read; until then signals would pass by. If the answer is
        # lost with its connection, the next connection subscribes again.
        with contextlib.suppress(*UNREACHABLE):
            await self._client.flush(_FLUSH_WITHIN)

    def tell(self, signal: Signal) -> None:
        """Queue a signal; while there is no connection it is dropped, since it would come stale."""
        if self._client.is_connected:
            self._queued.append(signal)
            self._told.set()

    async def close(self) -> None:
        """Send what waits, and neither hear nor tell anything more; the connection stays."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self._send_queued()
        for subscription in self._subscriptions:
            if not self._client.is_closed:
                await subscription.unsubscribe()
        self._subscriptions.clear()

    async def _send(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            await self._send_queued()

    async def _send_queued(self) -> None:
        while self._queued:
            signal = self._queued.popleft()
            try:
                await self._client.publish(self._subject, encode_signal(signal))
            except nats.errors.Error as error:
                _log.debug("a signal was dropped", reason=str(error) or type(error).__name__)
