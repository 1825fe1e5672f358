"""What goes out in shared pages arrives as what is written does: all of it, once, in order."""

import asyncio
import contextlib
import os
import random
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import pytest

from chat.v1 import commands_pb2
from chat_service.transports.shared_pages import KEPT, SMALLEST, SharedPages
from tests.conftest import ANY_PORT, StartNode
from tests.scenarios.heard import Said
from tests.scenarios.people import TcpPerson
from tests.scenarios.person import Person
from tests.scenarios.programs import JsonPerson, ProtobufPerson
from tests.transports.conftest import Enter
from tests.transports.tls.clients import AUTHORITY, SERVER
from tests.waiting import until

READERS: Final = 5
ON_LINUX: Final = pytest.mark.skipif(sys.platform != "linux", reason="pages are of Linux")


class Reader:
    """A client's socket, and the server's transport to it."""

    def __init__(self, sock: socket.socket, transport: asyncio.Transport) -> None:
        self.socket = sock
        self.transport = transport
        self.due = bytearray()
        """What it is to get."""

    async def read(self, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        got = bytearray()
        while len(got) < size:
            data = await asyncio.wait_for(loop.sock_recv(self.socket, size - len(got)), 10)
            if not data:
                break
            got += data
        return bytes(got)

    async def gets_all(self) -> None:
        assert await self.read(len(self.due)) == self.due
        self.due.clear()


class Hall:
    """A server that only writes, and those who read it."""

    def __init__(self) -> None:
        self.pages = SharedPages()
        self.readers: list[Reader] = []

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        transports: asyncio.Queue[asyncio.Transport] = asyncio.Queue()

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                transports.put_nowait(cast("asyncio.Transport", transport))

        server = await loop.create_server(Accepted, "127.0.0.1", 0)
        stack.callback(server.close)
        for _ in range(READERS):
            sock = socket.socket()
            stack.callback(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # so that the rest waits
            sock.setblocking(False)
            await loop.sock_connect(sock, server.sockets[0].getsockname())
            transport = await transports.get()
            stack.callback(transport.abort)
            self.readers.append(Reader(sock, transport))

    def tell(self, blob: bytes, *readers: Reader) -> None:
        for reader in readers or self.readers:
            if not reader.transport.is_closing():
                self.pages.write(reader.transport, blob)
            reader.due += blob

    async def all_get_all(self) -> None:
        await asyncio.gather(*(reader.gets_all() for reader in self.readers))


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    hall = Hall()
    async with contextlib.AsyncExitStack() as stack:
        await hall.open(stack)
        yield hall
        hall.pages.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes the kernel took from pages, call by call."""
    sent: list[int] = []
    send = os.sendfile

    def noted(*args: Any) -> int:
        sent.append(0)
        sent[-1] = send(*args)
        return sent[-1]

    monkeypatch.setattr(os, "sendfile", noted)
    return sent


def blob(size: int) -> bytes:
    return random.randbytes(size)


@ON_LINUX
async def test_a_large_blob_goes_from_pages_to_all_but_the_first(
    hall: Hall, sent: list[int]
) -> None:
    hall.tell(blob(SMALLEST))
    await hall.all_get_all()
    assert len(sent) == READERS - 1
    assert all(sent)


@ON_LINUX
async def test_of_a_batch_in_several_blobs_and_encodings_each_goes_from_pages(
    hall: Hall, sent: list[int]
) -> None:
    one, another = [[blob(SMALLEST) for _ in range(3)] for _ in range(2)]
    for n, reader in enumerate(hall.readers):
        for it in (one, another)[n % 2]:
            hall.tell(it, reader)
        hall.tell(blob(SMALLEST), reader)  # and what this one alone was behind with
    await hall.all_get_all()
    assert len(sent) == 3 * (READERS - 2)


@ON_LINUX
async def test_what_the_socket_does_not_take_waits_before_what_comes_next(
    hall: Hall, sent: list[int]
) -> None:
    hall.tell(large := blob(8 << 20))
    hall.tell(b"small")
    hall.tell(blob(SMALLEST))
    assert any(0 < size < len(large) for size in sent)
    await hall.all_get_all()


async def test_in_whatever_order_blobs_come_each_reader_gets_its_own(hall: Hall) -> None:
    blobs = [blob(size) for size in (1, 100, SMALLEST - 1, SMALLEST, 5 * SMALLEST, 40 * SMALLEST)]
    for _ in range(60):
        told = random.sample(hall.readers, random.randint(1, READERS))
        hall.tell(random.choice(blobs), *told)
        if random.random() < 0.2:
            await asyncio.sleep(0)
        if random.random() < 0.1:
            await hall.all_get_all()
    await hall.all_get_all()


async def test_equal_bytes_and_bytes_where_others_were_are_not_taken_for_each_other(
    hall: Hall,
) -> None:
    for _ in range(20):  # each in memory that the one before has just left
        hall.tell(blob(2 * SMALLEST))
        await hall.all_get_all()


async def test_who_has_gone_is_no_error(hall: Hall) -> None:
    gone = hall.readers[2]
    gone.socket.close()
    for _ in range(5):
        hall.tell(blob(SMALLEST))
        gone.due.clear()
        await asyncio.gather(*(it.gets_all() for it in hall.readers if it is not gone))
    await until(gone.transport.is_closing, what="the server to notice")


@ON_LINUX
async def test_few_files_are_open_and_none_is_left(hall: Hall) -> None:
    for _ in range(3 * KEPT):
        hall.tell(blob(SMALLEST))
        await hall.all_get_all()
        assert 0 < len(files_in_memory()) <= KEPT
    hall.tell(blob(10 * SMALLEST))
    hall.pages.close()
    assert files_in_memory() == []
    await hall.all_get_all()


def files_in_memory() -> list[str]:
    names = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            names.append(str(descriptor.readlink()))
    return [name for name in names if name.startswith("/memfd:chat")]


def refuse(*_: object) -> Any:
    raise OSError(24, "no")


def write_little(_file: int, data: bytes) -> int:
    return len(data) // 2


@ON_LINUX
@pytest.mark.parametrize(
    ("call", "instead"),
    [("memfd_create", refuse), ("sendfile", refuse), ("write", refuse), ("write", write_little)],
)
async def test_where_the_kernel_has_no_pages_it_is_written_all_the_same(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, call: str, instead: Callable[..., Any]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, call, instead)
        hall.tell(blob(4 * SMALLEST))
    await hall.all_get_all()
    assert len(files_in_memory()) == (call == "sendfile")


@ON_LINUX
async def test_who_was_refused_pages_does_not_ask_again_for_each_reader(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def refuse_noting(*args: object) -> Any:
        asked.append(args)
        raise OSError(24, "no")

    monkeypatch.setattr(os, "memfd_create", refuse_noting)
    hall.tell(blob(SMALLEST))
    await hall.all_get_all()
    assert len(asked) == 1


async def test_under_tls_nothing_goes_around_it(tmp_path: Path, sent: list[int]) -> None:
    files = SERVER.write(tmp_path, "server")
    large, pages = blob(4 * SMALLEST), SharedPages()

    class Told(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            pages.write(cast("asyncio.Transport", transport), large)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    server = await asyncio.get_running_loop().create_server(Told, "127.0.0.1", 0, ssl=context)
    trusting = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    for _ in range(3):
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port, ssl=trusting)
        assert await asyncio.wait_for(reader.readexactly(len(large)), 10) == large
        writer.transport.abort()
    assert sent == []
    server.close()
    pages.close()


# --- where they are used ---


@ON_LINUX
@pytest.mark.parametrize("kind", [TcpPerson, JsonPerson, ProtobufPerson])
async def test_a_large_batch_reaches_everybody_from_pages(
    start_node: StartNode, enter: Enter, sent: list[int], kind: type[Person]
) -> None:
    node = await start_node(web=ANY_PORT)
    async with contextlib.AsyncExitStack() as stack:
        readers = [kind(f"reader{n}", "x") for n in range(3)]
        for reader in readers:
            await reader.connect(node)
            stack.push_async_callback(reader.hang_up)
        ann = await enter(node, "ann")
        texts = [f"{n} {'x' * 1000}" for n in range(50)]
        sends = [commands_pb2.Send(to="#lobby", text=text) for text in texts]
        await ann.send(*(commands_pb2.Command(send=send) for send in sends))
        for reader in readers:
            await until(partial(has_heard, reader, texts[-1]), what="the last of it")
            assert said(reader) == texts
    assert sum(sent) > SMALLEST


def has_heard(reader: Person, text: str) -> bool:
    return text in said(reader)


def said(reader: Person) -> list[str]:
    return [it.text for it in reader.heard if isinstance(it, Said)]
