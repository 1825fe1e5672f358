"""TLS for a raw socket, which can be half-closed and paused like the socket itself.

The loop's own TLS answers a client's end of input by ending both directions, and by dropping what
it has read and not decrypted yet. Here everything that was sent before the end arrives, and the
replies find their way back (RFC 8446, section 6.1).
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from chat_service.auth.doorman import Certified
from chat_service.logs import get
from chat_service.tls import HANDSHAKE_TIMEOUT, holder

_log = get("tls")

MAX_HANDSHAKES: Final = 1024
"""How many handshakes are under way; for one more the oldest has to go."""

HANG_UP_AFTER: Final = 0.5
"""Seconds in which a client that was told everything is to hang up itself."""

_READ_BYTES: Final = 64 * 1024
_HANDSHAKE: Final = 0x16
"""What the first record of every TLS client begins with (RFC 8446, section 5.1)."""


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """A protocol to the socket below, a transport to the connection above.

    The connection is told of when the handshake is done; until then this is one of `handshakes`,
    the oldest first. There is no handshake where the socket is not admitted. Who speaks no TLS is
    told `advice`, in the clear.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        connection: asyncio.Protocol,
        is_admitted: Callable[[asyncio.Transport], bool],
        handshakes: dict["TlsTransport", None],
        advice: bytes,
    ) -> None:
        super().__init__()
        self._above = connection
        self._is_admitted = is_admitted
        self._advice = advice
        self._begun = False
        self._handshakes = handshakes
        self._connection: asyncio.Protocol | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._input_ended = False
        self._kept_open = False

    # What the socket tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the client to begin the handshake."""
        self._below = cast("asyncio.Transport", transport)
        self._deadline = asyncio.get_running_loop().call_later(HANDSHAKE_TIMEOUT, self._give_up)
        if not self._is_admitted(self._below):
            self._below.abort()  # no word of ours would be understood before there is TLS
            return
        if len(self._handshakes) >= MAX_HANDSHAKES:
            oldest = next(iter(self._handshakes))
            del self._handshakes[oldest]
            oldest.abort()
        self._handshakes[self] = None

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, or hand on what the bytes say."""
        if self._input_ended:
            return
        if not self._begun and data[0] != _HANDSHAKE:
            self._advise()
            return
        self._begun = True
        self._incoming.write(data)
        try:
            if self._connection is None:
                self._shake_hands()
            if self._connection is not None:
                self._read(self._connection)
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            _log.debug("no TLS", reason=str(error))
            self._flush()  # the alert, which says to the client what is wrong
            self._below.close()

    def eof_received(self) -> bool:
        """Keep what is open, if the client has said in TLS that this is its end.

        If it has not, anybody on the way may have cut it off.
        """
        return self._input_ended and self._kept_open

    def pause_writing(self) -> None:
        """Hand on that the client does not read."""
        if self._connection is not None:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it does again."""
        if self._connection is not None:
            self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on that it is over."""
        self._handshakes.pop(self, None)
        self._deadline.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.connection_lost(exc)

    def _give_up(self) -> None:
        """Wait no longer for a handshake: who said nothing may be somebody who waits for us."""
        if self._begun:
            self._below.abort()
        else:
            self._advise()

    def _advise(self) -> None:
        """Say in the clear that this is TLS, and leave a moment to read it."""
        self._input_ended = True
        self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(HANG_UP_AFTER, self._below.abort)
        self._below.write(self._advice)
        with suppress(OSError):  # from asyncio, where the client has just gone
            self._below.write_eof()

    def _shake_hands(self) -> None:
        self._tls.do_handshake()
        self._flush()
        self._deadline.cancel()
        self._handshakes.pop(self, None)
        connection = self._connection = self._above
        del self._above, self._is_admitted  # what would be left of a circle when it is over
        connection.connection_made(self)

    def _read(self, connection: asyncio.Protocol) -> None:
        """Hand on all that can be decrypted; raises SSLWantReadError at its end."""
        while not self._input_ended:
            try:
                data = self._tls.read(_READ_BYTES)
            except ssl.SSLZeroReturnError:
                data = b""
            if data:
                connection.data_received(data)
            else:
                self._input_ended = True
                self._kept_open = bool(connection.eof_received())
                if not self._kept_open:
                    self.close()

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._below.write(data)

    # What the connection asks for.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        self._flush()

    def can_write_eof(self) -> bool:
        """Tell that each direction ends by itself."""
        return True

    def write_eof(self) -> None:
        """Say that nothing more will come."""
        self._say_end()
        self._below.write_eof()

    def close(self) -> None:
        """Say that nothing more will come, and close when everything is sent."""
        if not self._below.is_closing():
            self._say_end()
            self._below.close()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the connection above."""
        return cast("asyncio.Protocol", self._connection)  # who else would ask

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another be the connection above."""
        self._connection = cast("asyncio.Protocol", protocol)

    def _say_end(self) -> None:
        with suppress(ssl.SSLError):  # it is said, and the client has yet to say the same
            self._tls.unwrap()
        self._flush()

    def abort(self) -> None:
        """Close at once."""
        self._below.abort()

    def is_closing(self) -> bool:
        """Tell whether nothing more is sent."""
        return self._below.is_closing()

    def pause_reading(self) -> None:
        """Leave in the socket what has not been read yet."""
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._below.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set how much may wait to be sent before `pause_writing`, in bytes."""
        self._below.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return something about the socket; `ssl_object` is of this layer."""
        return self._tls if name == "ssl_object" else self._below.get_extra_info(name, default)


def certified(transport: asyncio.BaseTransport) -> Certified | None:
    """Return what the client's certificate says; None if it showed none."""
    secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    shown = secured.getpeercert(binary_form=True) if secured is not None else None
    return Certified(*holder(shown)) if shown else None
