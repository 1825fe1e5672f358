"""ngIRCd, in raw IRC (RFC 2812)."""

from collections.abc import Iterator, Sequence
from typing import Final

from bench.systems.peer import Peer
from bench.systems.sockets import SocketClient

# No limits, no penalties for fast senders, and no probes in the middle of a measurement.
_CONFIG: Final = """\
[Global]
Name = bench.irc.local
Info = bench
AdminInfo1 = bench
Listen = {host}
Ports = {port}
MotdPhrase = bench
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxNickLength = 31
MaxPenaltyTime = 0
PingTimeout = 3600
PongTimeout = 3600
[Options]
DNS = no
Ident = no
PAM = no
"""

_ROOMS_A_LINE: Final = 30
"""A line has 512 bytes at most."""


class IrcClient(SocketClient):
    """A connection that has registered."""

    async def enter(self, user: str, rooms: Sequence[str], *, listen: bool) -> None:  # noqa: ARG002
        """Register and join; who sends to a room has to be in it."""
        await self.connect()
        await self.ask(f"NICK {user}\r\nUSER {user} 0 * :{user}\r\n".encode(), b" 376 ")
        for some in _slices(rooms):
            line = f"JOIN {','.join(some)}\r\n"
            await self.ask(line.encode(), f" 366 {user} {some[-1]} ".encode())

    def encode(self, to: str, text: bytes) -> bytes:
        """Return a PRIVMSG."""
        return b"PRIVMSG %b :%b\r\n" % (to.removeprefix("@").encode(), text)

    async def settle(self) -> None:
        """Ask for a PONG."""
        await self.ask(b"PING settled\r\n", b"settled")


def _slices(rooms: Sequence[str]) -> Iterator[Sequence[str]]:
    return (rooms[i : i + _ROOMS_A_LINE] for i in range(0, len(rooms), _ROOMS_A_LINE))


class NgIrcd(Peer):
    """ngIRCd from the system's packages."""

    name = "ngircd"
    title = "ngIRCd"
    program = "ngircd"
    install = "apt-get install ngircd"
    version_option = "--version"
    options = ("-n", "-f")
    config = _CONFIG
    client = IrcClient
    # A join is told to all members and answered with all of their names: n² of both.
    most_sessions = 1_000
    most_rooms = 10  # with more, a crowd does not get in within a minute
