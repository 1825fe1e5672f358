"""What the servers of others have in common: a program, a file that configures it, a socket."""

from pathlib import Path

from bench.systems.port import WINDOW, ClientFactory
from bench.systems.process import (
    HOST,
    ServerProcess,
    accepting,
    executable,
    first_line,
    free_port,
)
from bench.systems.sockets import SocketClient


class Peer:
    """A server of somebody else's. A class of it says what is its own."""

    name: str
    title: str
    program: str
    install: str
    """The command that installs it."""
    version_option: str
    options: tuple[str, ...]
    """What is said before the name of the file that configures it."""
    config: str
    """That file, with `{host}` and `{port}`."""
    client: type[SocketClient]

    sends_to_many_rooms = True
    most_sessions = 10_000
    most_rooms = 1_000
    window = WINDOW

    def missing(self) -> str:
        """Say what to install."""
        return "" if executable(self.program) else self.install

    def version(self) -> str:
        """Return what it says of itself."""
        return first_line(executable(self.program), self.version_option)

    def start(self, directory: Path) -> ServerProcess:
        """Start it, in the foreground."""
        port = free_port()
        config = directory / f"{self.program}.conf"
        config.write_text(self.config.format(host=HOST, port=port))
        command = [executable(self.program), *self.options, str(config)]
        return ServerProcess(command, directory, accepting(port))

    def clients(self, address: str) -> ClientFactory:
        """Return what makes connections."""
        return lambda ears: self.client(address, ears)
