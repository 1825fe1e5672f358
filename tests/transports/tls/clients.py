"""Clients under TLS, from the usual to the rude."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

import grpc
from cryptography import x509

from chat.v1 import chat_pb2_grpc
from chat_service.node import Node
from tests.certificates import LOCAL, Identity
from tests.transports.lines import Lines
from tests.transports.stream import OPTIONS, Stream

AUTHORITY: Final = Identity("test authority")
SERVER: Final = Identity("chat-server", by=AUTHORITY)
STRANGER: Final = Identity("another authority")
LISTENERS: Final = ("grpc", "tcp")


class People:
    """Opens connections that trust the authority, and gives them back."""

    def __init__(self, stack: AsyncExitStack, directory: Path) -> None:
        self._stack = stack
        self._directory = directory

    async def lines(self, node: Node, user: str = "", shown: Identity | None = None) -> Lines:
        """Connect over TCP, and say a name if there is one."""
        endpoint = node.endpoints["tcp"]
        context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        if shown is not None:
            files = shown.write(self._directory, "shown")
            context.load_cert_chain(files.certificate, files.key)
        stream = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context)
        lines = Lines(*stream)
        self._stack.push_async_callback(lines.hang_up)
        return await lines.enter(user) if user else lines

    def stream(self, node: Node, shown: Identity | None = None) -> Stream:
        """Open a stream over gRPC."""
        channel = self.channel(node, shown)
        stream = Stream(channel, chat_pb2_grpc.ChatStub(channel).Connect())
        self._stack.push_async_callback(stream.hang_up)
        return stream

    def channel(self, node: Node, shown: Identity | None = None) -> grpc.aio.Channel:
        """Open a gRPC channel with a connection of its own."""
        key, chain = (shown.key_pem, shown.pem) if shown is not None else (None, None)
        credentials = grpc.ssl_channel_credentials(AUTHORITY.pem, key, chain)
        endpoint = str(node.endpoints["grpc"])
        channel = grpc.aio.secure_channel(endpoint, credentials, options=OPTIONS)
        self._stack.push_async_callback(channel.close)
        return channel


def client_context(**attributes: Any) -> ssl.SSLContext:
    """Make a client that trusts anybody and takes any version and cipher that OpenSSL has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):  # what is old is what is tried here
        context.minimum_version = ssl.TLSVersion.TLSv1
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


def shake_hands(node: Node, listener: str, context: ssl.SSLContext) -> tuple[str, str, int]:
    """Return the version, the cipher and the certificate's serial number. Blocks."""
    endpoint = node.endpoints[listener]
    with (
        socket.create_connection((endpoint.host, endpoint.port), timeout=10) as plain,
        context.wrap_socket(plain) as secured,
    ):
        version, cipher, shown = secured.version(), secured.cipher(), secured.getpeercert(True)
    assert version
    assert cipher
    assert shown
    return version, cipher[0], x509.load_der_x509_certificate(shown).serial_number


async def serial(node: Node, listener: str) -> int:
    """Return the serial number of the certificate that a newcomer is shown."""
    return (await asyncio.to_thread(shake_hands, node, listener, client_context()))[2]


def half_close(node: Node, said: bytes) -> bytes:
    """Say something, end this direction, and return what comes in the other until its end."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = client_context().wrap_bio(incoming, outgoing)
    heard = b""
    with socket.create_connection((LOCAL, node.endpoints["tcp"].port), timeout=10) as plain:
        for act in (secured.do_handshake, lambda: secured.write(said), secured.unwrap):
            while _wants_more(act):
                plain.sendall(outgoing.read())
                if act == secured.unwrap:
                    break
                incoming.write(plain.recv(65536))
            plain.sendall(outgoing.read())
        plain.shutdown(socket.SHUT_WR)
        while data := plain.recv(65536):
            incoming.write(data)
    with suppress(ssl.SSLZeroReturnError):
        while piece := secured.read(65536):
            heard += piece
    return heard


def _wants_more(act: Callable[[], object]) -> bool:
    try:
        act()
    except ssl.SSLWantReadError:
        return True
    return False


def cut_off(node: Node, said: bytes) -> None:
    plain = socket.create_connection((LOCAL, node.endpoints["tcp"].port), timeout=10)
    secured = client_context().wrap_socket(plain)
    secured.sendall(said)
    secured.shutdown(socket.SHUT_WR)  # of the socket alone: TLS says nothing of an end
    while secured.recv(65536):
        pass  # else the kernel would send a reset, and the other one drop what it has not read
    secured.close()
