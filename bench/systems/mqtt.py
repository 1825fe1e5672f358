"""Mosquitto, with as much of MQTT 3.1.1 as QoS 0 takes.

https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html
"""

import struct
from collections.abc import Sequence
from typing import Final

from bench.systems.peer import Peer
from bench.systems.port import FRAME
from bench.systems.sockets import SocketClient

# By default messages are dropped when more than a thousand wait for a reader.
_CONFIG: Final = """\
listener {port} {host}
allow_anonymous true
persistence false
max_queued_messages 0
set_tcp_nodelay true
log_type error
"""

_CONNECT, _PUBLISH, _SUBSCRIBE = 0x10, 0x30, 0x82
_CONNACK: Final = b"\x20\x02\x00\x00"
_PINGREQ: Final = b"\xc0\x00"
_PINGRESP: Final = b"\xd0\x00"


class MqttClient(SocketClient):
    """A connection with a clean session."""

    async def enter(self, user: str, rooms: Sequence[str], *, listen: bool) -> None:
        """Connect and subscribe to the rooms and to one's own name."""
        await self.connect()
        clean_session, keep_alive = 0x02, 0
        head = _string(b"MQTT") + struct.pack("!BBH", 4, clean_session, keep_alive)
        await self.ask(_packet(_CONNECT, head + _string(user.encode())), _CONNACK)
        if not listen:
            return
        topics = [_topic(to) for to in (*rooms, f"@{user}")]
        filters = b"".join(_string(topic) + b"\x00" for topic in topics)
        granted = bytes(len(topics))
        await self.ask(
            _packet(_SUBSCRIBE, b"\x00\x01" + filters), _packet(0x90, b"\x00\x01" + granted)
        )

    def encode(self, to: str, text: bytes) -> bytes:
        """Return a PUBLISH with QoS 0."""
        return _packet(_PUBLISH, _string(_topic(to)) + text)

    async def settle(self) -> None:
        """Ask for a PINGRESP."""
        await self.ask(_PINGREQ, _PINGRESP)


def _topic(to: str) -> bytes:
    return (f"room/{to[1:]}" if to.startswith("#") else f"user/{to[1:]}").encode()


def _string(value: bytes) -> bytes:
    return struct.pack("!H", len(value)) + value


def _packet(kind: int, body: bytes) -> bytes:
    size, length = len(body), bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes((kind,)) + bytes(length) + body


class Mosquitto(Peer):
    """Mosquitto from the system's packages."""

    name = "mosquitto"
    title = "Mosquitto QoS 0"
    program = "mosquitto"
    install = "apt-get install mosquitto"
    version_option = "-h"
    options = ("-c",)
    config = _CONFIG
    client = MqttClient
    # It writes one message at a time however many wait, so more in flight would only wait longer.
    window = 8 * FRAME
