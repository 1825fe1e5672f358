"""Who connects and is gone before the server has looked: health checks, and scans of ports."""

import asyncio
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest

from chat_service.config import Endpoint
from tests.certificates import Identity
from tests.conftest import ANY_PORT, StartNode
from tests.waiting import until

QUESTION = {"tcp": b"", "web": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"}
ANSWER = {"tcp": b"* what is your name?\n", "web": b"ok\n"}


@pytest.mark.parametrize("listener", ["tcp", "web"])
@pytest.mark.parametrize("secured", [False, True])
async def test_who_is_gone_before_being_accepted_is_no_failure(
    start_node: StartNode, tmp_path: Path, listener: str, *, secured: bool
) -> None:
    settings: dict[str, Any] = {}
    if secured:
        files = Identity("chat-server").write(tmp_path / "tls", "server")
        settings = {"tls_cert": files.certificate, "tls_key": files.key}
    node = await start_node(web=ANY_PORT, **settings)
    failures: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: failures.append(context))
    reset(node.endpoints[listener])  # while the loop accepts nothing
    await be_served(node.endpoints[listener], listener, secured=secured)
    assert failures == []
    await until(lambda: not len(node.hub.registry), what="nobody to be left")


def reset(endpoint: Endpoint) -> None:
    """Connect, and take it back at once."""
    client = socket.create_connection((endpoint.host, endpoint.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def be_served(endpoint: Endpoint, listener: str, *, secured: bool) -> None:
    """Come behind whoever has connected before, and wait for an answer."""
    context = ssl._create_unverified_context() if secured else None
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context)
    async with asyncio.timeout(10):
        writer.write(QUESTION[listener])
        await reader.readuntil(ANSWER[listener])
        writer.close()
        await writer.wait_closed()
