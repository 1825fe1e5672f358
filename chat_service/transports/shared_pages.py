"""What many are to get alike, handed to the kernel once and sent to each without a copy.

A write copies its bytes into the kernel, for each reader anew. With a hundred readers of large
batches that was a quarter of the server's work. Bytes that lie in a file are sent from where they
are (sendfile(2)), and a file need not be on a disk (memfd_create(2)). Its pages are never changed,
and are free when the last reader has them, however far behind it is. Linux alone has both.
"""

import asyncio
import os
import sys
from collections import OrderedDict
from typing import Final

SMALLEST: Final = 24 * 1024
"""Bytes from which on it pays; of fewer a copy is as cheap."""

KEPT: Final = 8
"""Blobs that are remembered, the latest: those of a batch, in its encodings, and of one before."""

_NO_FILE: Final = -1


class SharedPages:
    """Writes to transports; what is large and comes to a second one goes into pages."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[bytes, int | None]] = OrderedDict()
        """By the id of a blob: itself, so that the id stays its own, and the file that it is in.

        There is none as long as it has come once, nor (_NO_FILE) if the kernel gives none.
        """

    def write(self, transport: asyncio.Transport, blob: bytes) -> None:
        """Do what the transport's own `write` does."""
        sent = self._send(transport, blob) if len(blob) >= SMALLEST else 0
        if not sent:
            transport.write(blob)
        elif sent < len(blob):
            transport.write(memoryview(blob)[sent:])

    def close(self) -> None:
        """Let go of all files; what is under way in them arrives all the same."""
        while self._known:
            self._forget_oldest()

    def _send(self, transport: asyncio.Transport, blob: bytes) -> int:
        """Send from pages as much as the socket takes at once; returns how many bytes it took."""
        if transport.get_extra_info("ssl_object") or transport.get_write_buffer_size():
            return 0  # there is something between it and the socket
        file = self._file(blob)
        if file == _NO_FILE:
            return 0
        try:
            return os.sendfile(transport.get_extra_info("socket").fileno(), file, 0, len(blob))
        except OSError:  # it takes none at present, or has gone
            return 0

    def _file(self, blob: bytes) -> int:
        """Return the file that a blob is in; _NO_FILE if it comes for the first time."""
        key = id(blob)
        known = self._known.get(key)
        if known is None:
            self._known[key] = blob, None
            if len(self._known) > KEPT:
                self._forget_oldest()
            return _NO_FILE
        self._known.move_to_end(key)
        file = known[1]
        if file is None:
            file = _filled(blob)
            self._known[key] = blob, file
        return file

    def _forget_oldest(self) -> None:
        file = self._known.popitem(last=False)[1][1]
        if file is not None and file != _NO_FILE:
            os.close(file)


def _filled(blob: bytes) -> int:
    """Return a new file with a blob in it, in memory alone; _NO_FILE if none is to be had."""
    if sys.platform != "linux":
        return _NO_FILE
    try:
        file = os.memfd_create("chat", os.MFD_CLOEXEC)
    except OSError:
        return _NO_FILE
    try:
        written = os.write(file, blob)
    except OSError:
        written = 0
    if written == len(blob):
        return file
    os.close(file)
    return _NO_FILE
