"""What has come from the log and waits to be taken."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from chat_service.core.record import Record
from chat_service.log.port import LogLost
from chat_service.wire.record import BadRecord, decode_record

MAX_BATCH: Final = 2_048
"""Entries of a batch, but for a single record that has more."""

MAX_BATCH_BYTES: Final = 256 * 1024
"""Encoded bytes of a batch, likewise: readers get all of it at once."""

LITTLE: Final = 4 * 1024 * 1024
"""Bytes up to which more may come."""

MOST: Final = 64 * 1024 * 1024
"""Bytes beyond which nothing is kept. A server sends up to 32 MiB ahead of what was confirmed."""


class _Decoded(NamedTuple):
    record: Record
    size: int


class Backlog:
    """Records in their order. About two batches of them are decoded, the rest is as it came."""

    def __init__(self) -> None:
        self._encoded: deque[tuple[int, bytes]] = deque()
        self._decoded: deque[_Decoded] = deque()
        self._entries = 0
        self._decoded_bytes = 0
        self._bytes = 0
        self._awaited = 1
        self._arrived = asyncio.Event()
        self._lost: BaseException | None = None

    @property
    def is_small(self) -> bool:
        """Whether more may come."""
        return self._bytes <= LITTLE

    @property
    def is_full(self) -> bool:
        """Whether nothing more is kept."""
        return self._bytes > MOST

    @property
    def ready(self) -> int:
        """How many entries are decoded."""
        return self._entries

    def put(self, position: int, data: bytes) -> None:
        """Keep the next record."""
        if self._lost is not None:
            return
        self._encoded.append((position, data))
        self._bytes += len(data)
        self._decode()

    def fail(self, reason: BaseException) -> None:
        """Have `gathered` raise this once everything before it was taken."""
        self._lost = self._lost or reason
        self._arrived.set()

    def has_gathered(self, count: int) -> bool:
        """Tell whether so many entries are ready to be taken, or a full batch is."""
        return self._entries >= min(count, MAX_BATCH) or self._decoded_bytes > MAX_BATCH_BYTES

    async def gathered(self, count: int) -> None:
        """Wait until so many entries are ready to be taken, or a full batch is; raises LogLost."""
        while not self.has_gathered(count):
            if self._lost is not None and not self._entries:
                raise self._lost
            self._awaited = count
            self._arrived.clear()
            await self._arrived.wait()

    def take(self) -> Sequence[Record]:
        """Return the next batch; empty if nothing is ready."""
        batch: list[Record] = []
        entries = size = 0
        while self._decoded and (not batch or self._fits(entries, size)):
            record, bytes_ = self._decoded.popleft()
            batch.append(record)
            entries += len(record.entries)
            size += bytes_
        self._entries -= entries
        self._decoded_bytes -= size
        self._bytes -= size
        self._decode()
        return batch

    def _fits(self, entries: int, size: int) -> bool:
        record, bytes_ = self._decoded[0]
        return entries + len(record.entries) <= MAX_BATCH and size + bytes_ <= MAX_BATCH_BYTES

    def _decode(self) -> None:
        while self._encoded and self._entries < 2 * MAX_BATCH:
            position, data = self._encoded.popleft()
            try:
                record = decode_record(data, position)
            except BadRecord as error:
                self._encoded.clear()
                self.fail(LogLost(str(error)))
                return
            self._decoded.append(_Decoded(record, len(data)))
            self._entries += len(record.entries)
            self._decoded_bytes += len(data)
        if self.has_gathered(self._awaited):
            self._arrived.set()
