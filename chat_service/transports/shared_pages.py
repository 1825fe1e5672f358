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

KEPT: Final = 2
"""Blobs whose pages are held here: what goes out now, and what went out before."""


class SharedPages:
    """Writes to transports; what is large and comes to a second one goes into pages."""

    def __init__(self) -> None:
        self._last = b""
        """The large blob that came last, if it has no pages."""
        self._files: OrderedDict[int, tuple[int, bytes]] = OrderedDict()
        """By the id of a blob: its file, and itself, so that the id stays its own."""

    def write(self, transport: asyncio.Transport, blob: bytes) -> None:
        """Do what the transport's own `write` does."""
        sent = self._send(transport, blob) if len(blob) >= SMALLEST else 0
        if not sent:
            transport.write(blob)
        elif sent < len(blob):
            transport.write(memoryview(blob)[sent:])

    def close(self) -> None:
        """Let go of all files; what is under way in them arrives all the same."""
        self._last = b""
        while self._files:
            os.close(self._files.popitem()[1][0])

    def _send(self, transport: asyncio.Transport, blob: bytes) -> int:
        """Send from pages as much as the socket takes at once; returns how many bytes it took."""
        if transport.get_extra_info("ssl_object") or transport.get_write_buffer_size():
            return 0  # there is something between it and the socket
        try:
            file = self._file(blob)
            if file is None:
                return 0
            return os.sendfile(transport.get_extra_info("socket").fileno(), file, 0, len(blob))
        except OSError:  # it takes none, has gone, or the kernel has no file to spare
            return 0

    def _file(self, blob: bytes) -> int | None:
        """Return the file that a blob is in; None if it has come for the first time."""
        found = self._files.get(id(blob))
        if found is not None:
            return found[0]
        if blob is not self._last:
            self._last = blob
            return None
        file = _filled(blob)
        self._files[id(blob)] = file, blob
        if len(self._files) > KEPT:
            os.close(self._files.popitem(last=False)[1][0])
        return file


def _filled(blob: bytes) -> int:
    """Return a new file with a blob in it, in memory alone; raises OSError."""
    if sys.platform != "linux":
        raise OSError("no files in memory")
    file = os.memfd_create("chat", os.MFD_CLOEXEC)
    try:
        written = os.write(file, blob)
    except OSError:
        written = 0
    if written < len(blob):
        os.close(file)
        raise OSError("no memory for all of it")
    return file
