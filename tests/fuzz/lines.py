"""TCP lines: any bytes in any pieces, telnet's sequences among them, to the codec and a socket."""

import asyncio
import contextlib

from chat_service.core.commands import Command
from chat_service.wire.line import LineCodec
from chat_service.wire.port import Received
from tests.fuzz.rig import CUT, Rig

_PATIENCE = 10.0


async def feed(rig: Rig, data: bytes) -> None:
    """Send the pieces of an input as a client of the line protocol, and read to the end.

    Of its first byte, bit 0 says a name before them, and bit 1 cuts the connection.
    """
    flags = data[0] if data else 0
    pieces = ([b"guest\n"] if flags & 1 else []) + data[1:].split(CUT)
    _decode(pieces)
    endpoint = rig.node.endpoints["tcp"]
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if flags & 2:
            writer.transport.abort()
        else:
            writer.write_eof()
        await _read(reader)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def _decode(pieces: list[bytes]) -> None:
    """Feed the codec: where the pieces are cut makes no difference to it."""
    apart, whole = LineCodec(), LineCodec()
    received = [it for piece in pieces for it in apart.feed(piece)] + apart.end_of_input()
    at_once = whole.feed(b"".join(pieces)) + whole.end_of_input()
    assert list(map(_comparable, received)) == list(map(_comparable, at_once))


def _comparable(it: Received) -> object:
    return it if isinstance(it, Command) else (it[0], type(it[1]), str(it[1]))


async def _read(reader: asyncio.StreamReader) -> None:
    """Read to the end; what is told has to be text that moves no terminal's cursor."""
    async with asyncio.timeout(_PATIENCE):
        told = await reader.read(-1)
    text = told.replace(b"\xff\xfb\x01", b"").replace(b"\xff\xfc\x01", b"").decode()
    assert "\x1b" not in text
    assert "\r" not in text.replace("\r\n", "\n")
