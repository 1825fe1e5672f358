"""As much of HTTP/2 (RFC 9113) as a gRPC client needs that reads at the price of a raw socket.

Of DATA only the headers of the frames are looked at; what they carry is passed on as it comes, in
pieces of any size.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Final, cast
from urllib.parse import unquote

from hpack import Decoder, Encoder, HPACKError

_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0, 1, 3, 4
_PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 6, 7, 8, 9
_ACK: Final = 1
_END_STREAM: Final = 1
_END_HEADERS: Final = 4
_PADDED_OR_PRIORITY: Final = 0x28

_TABLE_SIZE, _PUSH, _MOST_STREAMS, _INITIAL_WINDOW, _FRAME_SIZE = range(1, 6)
"""Settings by their identifiers."""

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER: Final = struct.Struct(">HBBBI")
"""Of a frame: its length in 16 and 8 bits, its type, its flags, its stream."""
_SETTING: Final = struct.Struct(">HI")
_NUMBER: Final = struct.Struct(">I")

_DEFAULT_WINDOW: Final = 65_535
_WINDOW: Final = 2**31 - 1
"""What the server may send unasked. It is the socket that holds it back, as with other systems."""
_REPLENISH: Final = 2**30
_LARGEST_FRAME: Final = 2**24 - 1
_CANCEL: Final = 8


class Stream:
    """One call: where its DATA goes, and how much may be sent."""

    __slots__ = ("ended", "hear", "number", "received", "window")

    def __init__(
        self, number: int, window: int, hear: Callable[[bytes], None], ended: Callable[[str], None]
    ) -> None:
        self.number = number
        self.window = window
        self.received = 0
        """Bytes since the last update of the server's window."""
        self.hear = hear
        self.ended = ended


class Connection(asyncio.Protocol):
    """A connection that calls share, each on a stream of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._transport: asyncio.Transport | None = None
        self._opening = asyncio.Lock()
        self._ready = asyncio.Event()
        self._lost = ""
        self._streams: dict[int, Stream] = {}
        self._last = -1
        # What has come, and is not a whole frame or block of headers yet.
        self._rest = b""
        self._into: Stream | None = None
        self._left = 0
        self._block = b""
        self._block_flags = 0
        self._decoder = Decoder()
        self._received = 0
        # What the server allows; until its SETTINGS come, RFC 9113's defaults.
        self._most_streams = 2**31
        self._frame_size = 2**14
        self._initial_window = _DEFAULT_WINDOW
        self._window = _DEFAULT_WINDOW
        self._encoder = Encoder()
        self._movable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            _HEADERS: self._on_headers,
            _CONTINUATION: self._on_continuation,
            _RST_STREAM: self._on_reset,
            _SETTINGS: self._on_settings,
            _PING: self._on_ping,
            _GOAWAY: self._on_goaway,
            _WINDOW_UPDATE: self._on_window_update,
        }

    async def open(
        self,
        headers: Sequence[tuple[str, str]],
        hear: Callable[[bytes], None],
        ended: Callable[[str], None],
    ) -> Stream:
        """Open a stream; raises ConnectionError if the server does not take it.

        `hear` gets what DATA carries, `ended` why the stream has ended, unless by `cancel`.
        """
        async with self._opening:
            if self._transport is None and not self._lost:
                host, _, port = self._address.rpartition(":")
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: self, host, int(port))
        await self._ready.wait()
        if self._lost:
            raise ConnectionError(self._lost)
        if len(self._streams) >= self._most_streams:
            raise ConnectionError(f"the server allows {self._most_streams} streams a connection")
        self._last += 2
        stream = Stream(self._last, self._initial_window, hear, ended)
        self._streams[stream.number] = stream
        request = [
            (":method", "POST"), (":scheme", "http"), (":authority", self._address), *headers
        ]  # fmt: skip
        self._frame(_HEADERS, _END_HEADERS, stream.number, self._encoder.encode(request))
        return stream

    async def write(self, stream: Stream, data: bytes) -> None:
        """Send DATA as the server's windows allow; raises ConnectionError if the stream has ended.

        One at a time may write to a stream.
        """
        while data:
            if stream.number not in self._streams:
                raise ConnectionError(self._lost or "the stream has ended")
            room = min(self._window, stream.window, self._frame_size)
            if room <= 0:
                self._movable.clear()
                await self._movable.wait()
                continue
            piece, data = (data, b"") if len(data) <= room else (data[:room], data[room:])
            self._window -= len(piece)
            stream.window -= len(piece)
            self._frame(_DATA, 0, stream.number, piece)
        await asyncio.sleep(0)  # who never waits would keep the loop from all others
        await self._writable.wait()

    def cancel(self, stream: Stream) -> None:
        """End a stream from this side, and the connection with its last one."""
        if self._streams.pop(stream.number, None) is None or self._transport is None:
            return
        self._frame(_RST_STREAM, 0, stream.number, _NUMBER.pack(_CANCEL))
        if not self._streams:
            self._fail("closed from this side")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce oneself."""
        self._transport = cast("asyncio.Transport", transport)
        settings = {_PUSH: 0, _INITIAL_WINDOW: _WINDOW, _FRAME_SIZE: _LARGEST_FRAME}
        self._transport.write(_PREFACE)
        self._frame(_SETTINGS, 0, 0, b"".join(_SETTING.pack(*it) for it in settings.items()))
        self._frame(_WINDOW_UPDATE, 0, 0, _NUMBER.pack(_WINDOW - _DEFAULT_WINDOW))

    def data_received(self, data: bytes) -> None:
        """Take frames, cut anywhere."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        size, at = len(data), self._go_on(data) if self._left else 0
        while size - at >= 9:
            high, low, kind, flags, number = _HEADER.unpack_from(data, at)
            begin, length = at + 9, high << 8 | low
            at = begin + length
            if kind == _DATA:
                stream = self._streams.get(number)
                self._account(stream, length)
                if flags:  # a gRPC server ends streams with trailers, and has no reason to pad
                    self._fail(f"DATA with flags {flags}")
                    return
                if stream is not None and begin < size:
                    stream.hear(data[begin:at])
                if at > size:
                    self._into, self._left, at = stream, at - size, size
            elif at > size:
                at = begin - 9
                break
            elif kind in self._handlers:
                self._handlers[kind](flags, number, data[begin:at])
        self._rest = data[at:]

    def pause_writing(self) -> None:
        """Make who writes wait."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let who writes go on."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all streams."""
        self._fail(repr(exc) if exc else "closed by the server")

    def _go_on(self, data: bytes) -> int:
        """Take what belongs to a DATA frame that has begun; returns where the next frame begins."""
        end = min(self._left, len(data))
        self._left -= end
        if self._into is not None:
            self._into.hear(data[:end])  # the data itself, if it is all of it
        return end

    def _account(self, stream: Stream | None, length: int) -> None:
        """Let the server send on, long before its windows are empty."""
        self._received += length
        if self._received >= _REPLENISH:
            self._frame(_WINDOW_UPDATE, 0, 0, _NUMBER.pack(self._received))
            self._received = 0
        if stream is None:
            return
        stream.received += length
        if stream.received >= _REPLENISH:
            self._frame(_WINDOW_UPDATE, 0, stream.number, _NUMBER.pack(stream.received))
            stream.received = 0

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & _PADDED_OR_PRIORITY:
            self._fail(f"HEADERS with flags {flags}")
            return
        self._block, self._block_flags = b"", flags
        self._on_continuation(flags, number, payload)

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        self._block += payload
        if not flags & _END_HEADERS:
            return
        try:  # even where the stream is nobody's: what is decoded depends on all that came before
            headers = {str(name): str(value) for name, value in self._decoder.decode(self._block)}
        except HPACKError as error:
            self._fail(repr(error))
            return
        if self._block_flags & _END_STREAM:
            status, message = headers.get("grpc-status"), headers.get("grpc-message", "")
            why = f"gRPC status {status}" if status else f"HTTP status {headers.get(':status')}"
            self._end(number, f"{why}: {unquote(message)}")

    def _on_reset(self, _flags: int, number: int, payload: bytes) -> None:
        self._end(number, f"RST_STREAM {_NUMBER.unpack(payload)[0]}")

    def _on_settings(self, flags: int, _number: int, payload: bytes) -> None:
        if flags & _ACK:
            return
        for key, value in _SETTING.iter_unpack(payload):
            if key == _TABLE_SIZE:
                self._encoder.header_table_size = value
            elif key == _MOST_STREAMS:
                self._most_streams = value
            elif key == _FRAME_SIZE:
                self._frame_size = value
            elif key == _INITIAL_WINDOW:
                for stream in self._streams.values():
                    stream.window += value - self._initial_window
                self._initial_window = value
        self._frame(_SETTINGS, _ACK, 0, b"")
        self._ready.set()
        self._movable.set()

    def _on_ping(self, flags: int, _number: int, payload: bytes) -> None:
        if not flags & _ACK:
            self._frame(_PING, _ACK, 0, payload)

    def _on_goaway(self, _flags: int, _number: int, payload: bytes) -> None:
        last, code = struct.unpack_from(">II", payload)
        self._lost = f"GOAWAY {code}: {payload[8:].decode(errors='replace')}"
        for number in [number for number in self._streams if number > last]:
            self._end(number, self._lost)

    def _on_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        (more,) = _NUMBER.unpack(payload)
        if not number:
            self._window += more
        elif number in self._streams:
            self._streams[number].window += more
        self._movable.set()

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        assert self._transport is not None
        length = len(payload)
        header = _HEADER.pack(length >> 8, length & 0xFF, kind, flags, number)
        self._transport.write(header + payload)

    def _end(self, number: int, why: str) -> None:
        if (stream := self._streams.pop(number, None)) is not None:
            stream.ended(why)
            self._movable.set()

    def _fail(self, why: str) -> None:
        """End the connection and all of its streams."""
        self._lost = self._lost or why
        if self._transport is not None:
            self._transport.close()
        for number in list(self._streams):
            self._end(number, self._lost)
        self._ready.set()
        self._writable.set()
