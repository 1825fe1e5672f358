"""Where those ask who have no session: they append an entry and wait for what comes of it."""

import secrets
from collections.abc import Callable

from chat_service.core.commands import Entry, EntryBody
from chat_service.core.errors import Refusal, Unavailable
from chat_service.core.outcome import Applied
from chat_service.hub.hub import Hub
from chat_service.in_flight import in_time
from chat_service.log.port import Log

MAX_WAITING = 1024
"""Entries of this kind that are under way at a time."""

_FATE_UNKNOWN = "the log does not answer: it may still be done, so look before you ask again"


class Desk:
    """Appends entries for unary calls. `now` gives the time in microseconds since 1970.

    `instance` is what this run of this node is called.
    """

    def __init__(self, hub: Hub, log: Log, now: Callable[[], int], instance: str = "") -> None:
        self._hub = hub
        self._log = log
        self.now = now
        self._instance = instance
        self._waiting = 0

    async def submit(self, user: str, body: EntryBody) -> Applied:
        """Append an entry and return what came of it; raises the Refusal if it was refused.

        What the log has taken and does not answer may still happen: the Refusal says so.
        """
        if self._hub.draining:
            raise Unavailable("the server is shutting down", retry_after=1.0)
        if self._waiting >= MAX_WAITING:
            raise Unavailable("the server is overloaded", retry_after=1.0)
        self._waiting += 1
        try:
            applied = await self._submit(user, body)
        finally:
            self._waiting -= 1
        if isinstance(applied.reply, Refusal):
            raise applied.reply
        return applied

    async def synced(self) -> None:
        """Wait until what any node has acknowledged before is known here."""
        await self._log.synced()

    async def _submit(self, user: str, body: EntryBody) -> Applied:
        asker = f"{self._instance}-{secrets.token_hex(8)}"
        async with in_time():
            await self._log.room()
        answer = self._hub.answer_to(asker)
        client = secrets.token_bytes(16)
        self._log.append(Entry(asker, 0, user, client, self.now(), body))
        try:
            async with in_time():
                return await answer
        except Unavailable as silence:
            raise Unavailable(_FATE_UNKNOWN, retry_after=silence.retry_after) from None
