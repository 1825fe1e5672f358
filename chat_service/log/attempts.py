"""What is appended to the stream at once or not at all.

A record of a `Publisher` is repeated until it is stored, however long that takes. What has to be
true in the moment in which it is ordered is sent once instead, under an id of its own.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext

from chat_service.core.commands import Entry
from chat_service.log.stream import LogStream
from chat_service.logs import get
from chat_service.nats_connection import UNREACHABLE, why
from chat_service.wire.record import encode_entry, encode_record

_log = get("log")

_ACKNOWLEDGED_WITHIN: Final = 2.0


class Attempts:
    """Appends records numbered 1, 2, 3 … under its id, each of which is sent once."""

    def __init__(self, client: Client, js: JetStreamContext, stream: LogStream, id_: str) -> None:
        self._client = client
        self._js = js
        self._stream = stream
        self._id = id_
        self._number = 0

    async def append(self, entries: Sequence[Entry]) -> bool:
        """Append entries as one record; tells whether it was acknowledged, within two seconds.

        If it was not, its fate is unknown, but it is not sent again.
        """
        if not self._client.is_connected:  # it would wait for the next connection
            return False
        self._number += 1
        record = encode_record(self._id, self._number, map(encode_entry, entries))
        try:
            async with asyncio.timeout(_ACKNOWLEDGED_WITHIN):
                await self._js.publish(
                    self._stream.subject,
                    record,
                    timeout=_ACKNOWLEDGED_WITHIN,
                    stream=self._stream.name,
                )
        except UNREACHABLE as error:
            _log.debug("an attempt was not acknowledged", number=self._number, reason=why(error))
            return False
        return True
