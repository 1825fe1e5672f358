"""Two hosts, which are network namespaces, and the cable between them, which can be pulled."""

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEAR, FAR = "192.0.2.1", "192.0.2.2"  # TEST-NET-1 (RFC 5737), seen in the namespaces alone
_CLONE_NEWNET = 0x40000000


class Unavailable(Exception):
    """Here nobody may make a network namespace."""


class Host:
    """One of the hosts, as a place for this process to have sockets in."""

    def __init__(self, namespace: str) -> None:
        self._namespace = Path(f"/run/netns/{namespace}")

    @contextmanager
    def here(self) -> Iterator[None]:
        """Let this thread make its sockets there."""
        with Path("/proc/thread-self/ns/net").open() as home, self._namespace.open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def tcp_socket(self) -> socket.socket:
        """Return a socket of that host."""
        with self.here():
            sock = socket.socket()
        sock.setblocking(False)
        return sock


class Network:
    """Both hosts and the cable."""

    def __init__(self, name: str) -> None:
        self._near, self._far = f"{name}-near", f"{name}-far"
        self.near, self.far = Host(self._near), Host(self._far)

    def build(self) -> None:
        """Make the hosts and connect them."""
        for namespace in (self._near, self._far):
            _ip("netns", "add", namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        cable = ("cable", "type", "veth", "peer", "name", "cable", "netns", self._far)
        _ip("-n", self._near, "link", "add", *cable)
        for namespace, address in ((self._near, NEAR), (self._far, FAR)):
            _ip("-n", namespace, "addr", "add", f"{address}/30", "dev", "cable")
            _ip("-n", namespace, "link", "set", "cable", "up")

    def unplug(self) -> None:
        """Lose every packet from here on, in both directions, and tell nobody."""
        _ip("-n", self._far, "link", "set", "cable", "down")

    def remove(self) -> None:
        """Give back what there is of it."""
        for namespace in (self._near, self._far):
            with suppress(OSError, subprocess.CalledProcessError):
                _ip("netns", "del", namespace)


@contextmanager
def network() -> Iterator[Network]:
    """Make two hosts and a cable; raises Unavailable."""
    if os.geteuid() != 0:
        raise Unavailable("only root may make a network namespace and pull its cable")
    made = Network(f"chat-{os.getpid()}-{threading.get_native_id()}")
    try:
        try:
            made.build()
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"cannot make a network namespace here: {error}") from error
        yield made
    finally:
        made.remove()


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter the network namespace")


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True, timeout=10)
