"""The connection to NATS: made again for as long as it takes, and shown to nobody else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from chat_service import nats_connection
from chat_service.nats_connection import NatsSettings, close, connect, end
from chat_service.startup import StartupError
from tests.certificates import Identity
from tests.cluster.servers import NatsServers, StartNats
from tests.nats_users import Issuer
from tests.waiting import until


@asynccontextmanager
async def connected(*servers: str, **files: Path) -> AsyncIterator[Client]:
    client = await connect(NatsSettings(servers, "test", **files))
    try:
        yield client
    finally:
        await close(client)


async def reason(*servers: str, **files: Path) -> str:
    """Return why there can be no connection."""
    with pytest.raises(StartupError) as failure:
        await asyncio.wait_for(connect(NatsSettings(servers, "test", **files)), 10)
    return str(failure.value)


async def test_what_is_published_comes_to_who_listens(nats_server: NatsServers) -> None:
    async with connected(nats_server.url) as client:
        listening = await client.subscribe("subject")
        await client.publish("subject", b"hello")
        assert (await listening.next_msg(timeout=5)).data == b"hello"


# --- away ---


async def test_servers_that_are_away_are_waited_for(start_nats: StartNats) -> None:
    servers = start_nats()
    servers.servers[0].stop()
    connecting = asyncio.create_task(connect(NatsSettings((servers.url,), "test")))
    await asyncio.wait((connecting,), timeout=1)
    assert not connecting.done()
    servers.start()
    await close(await asyncio.wait_for(connecting, 10))


async def test_who_waits_may_give_up(start_nats: StartNats) -> None:
    servers = start_nats()
    servers.servers[0].stop()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connect(NatsSettings((servers.url,), "test")), 1)


async def test_a_server_that_comes_again_is_connected_to_again(start_nats: StartNats) -> None:
    servers = start_nats()
    async with connected(servers.url) as client:
        servers.servers[0].kill()
        await until(lambda: not client.is_connected)
        servers.start()
        await until(lambda: client.is_connected, within=10)


class Hole:
    """A way to a server which at some time swallows nothing more, and says nothing either."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._ends: list[asyncio.StreamWriter] = []
        self.url = ""

    def close(self) -> None:
        self._open.clear()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Hole"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self._open.set()
            for end_ in self._ends:
                end_.transport.abort()
            await asyncio.gather(*(it.wait_closed() for it in self._ends), return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.append(writer)
        back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends.append(forth)
        await asyncio.gather(self._pass(reader, forth), self._pass(back, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_what_waits_for_a_server_that_is_away_holds_up_no_end(start_nats: StartNats) -> None:
    servers = start_nats()
    client = await connect(NatsSettings((servers.url,), "test"))
    servers.servers[0].kill()
    await until(lambda: client.is_reconnecting)
    await client.publish("subject", b"never sent")
    await close(client)
    assert client.is_closed


async def test_a_network_that_swallows_everything_is_left_within_seconds(
    nats_server: NatsServers,
) -> None:
    direct = nats_server.servers[0]
    async with Hole(direct.ports.client).serve() as hole, connected(hole.url) as client:
        client.set_server_pool([hole.url, direct.url])
        hole.close()
        for _ in range(16):  # more than sockets take: what is left could never be sent
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.publish("subject", bytes(1_000_000)), 0.1)
        await until(lambda: client.stats["reconnects"] > 0, within=20)
        assert client.connected_url is not None
        assert client.connected_url.port == direct.ports.client


# --- who is who ---


async def test_a_password_in_the_url_is_used_and_never_told(
    start_nats: StartNats, capsys: pytest.CaptureFixture[str]
) -> None:
    servers = start_nats(extra='authorization { user: chat, password: "s3cret" }')
    place = servers.url.removeprefix("nats://")
    async with connected(f"nats://chat:s3cret@{place}"):
        pass
    told = await reason(f"nats://chat:wr0ng@{place}")
    assert place in told
    assert "wr0ng" not in told + "".join(capsys.readouterr())


async def test_a_credentials_file_is_used(start_nats: StartNats, tmp_path: Path) -> None:
    issuer = Issuer()
    servers = start_nats(extra=issuer.config)
    async with connected(servers.url, credentials=issuer.write_user(tmp_path / "chat.creds")):
        pass
    stranger = Issuer().write_user(tmp_path / "stranger.creds")
    assert "Authorization Violation" in await reason(servers.url, credentials=stranger)


@asynccontextmanager
async def short_lived(start_nats: StartNats, file: Path) -> AsyncIterator[tuple[Client, Issuer]]:
    """Connect with credentials that run out in a moment."""
    issuer = Issuer()
    servers = start_nats(extra=issuer.config)
    issuer.write_user(file, seconds=2)
    async with connected(servers.url, credentials=file) as client:
        yield client, issuer


async def test_credentials_that_were_renewed_in_time_are_used_once_the_old_ones_run_out(
    start_nats: StartNats, tmp_path: Path
) -> None:
    file = tmp_path / "chat.creds"
    async with short_lived(start_nats, file) as (client, issuer):
        listening = await client.subscribe("subject")
        issuer.write_user(file)
        await until(lambda: client.stats["reconnects"] == 1 and client.is_connected)
        await client.publish("subject", b"hello")
        assert (await listening.next_msg(timeout=5)).data == b"hello"


async def refused_again(client: Client) -> None:
    """Wait until one more attempt has failed."""
    before = client.last_error
    await until(lambda: client.last_error not in (before, None))


async def test_new_credentials_that_come_late_or_in_pieces_are_waited_for(
    start_nats: StartNats, tmp_path: Path
) -> None:
    file = tmp_path / "chat.creds"
    async with short_lived(start_nats, file) as (client, issuer):
        await until(lambda: client.is_reconnecting)
        whole = issuer.write_user(file).read_text()
        for length in (0, len(whole) // 4, len(whole) - 90):
            file.write_text(whole[:length])
            await refused_again(client)
        file.write_text(whole)
        await until(lambda: client.is_connected)


async def test_a_node_that_is_let_in_no_more_gives_up(
    start_nats: StartNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "_REFUSED_FOR", 0.6)
    async with short_lived(start_nats, tmp_path / "chat.creds") as (client, _):
        await until(lambda: client.is_closed)
        assert "is not to be used like that" in str(client.last_error)
        assert "Authorization Violation" in str(client.last_error)


async def test_a_file_that_holds_no_credentials_is_named(tmp_path: Path) -> None:
    assert f"cannot read {tmp_path / 'none'}" in await reason("x", credentials=tmp_path / "none")
    (tmp_path / "empty").touch()
    assert f"{tmp_path / 'empty'} holds no cred" in await reason(
        "x", credentials=tmp_path / "empty"
    )


def tls(directory: Path, authority: Identity, *, verify: bool = False) -> str:
    """Return the setting of a server that encrypts, and may ask for certificates itself."""
    files = Identity("nats", by=authority).write(directory, "nats")
    ca = authority.write(directory, "ca").certificate
    verified = f'ca_file: "{ca}", verify: true' if verify else ""
    return f'tls {{ cert_file: "{files.certificate}", key_file: "{files.key}", {verified} }}'


async def test_a_server_proves_itself_by_the_authority_that_is_named(
    start_nats: StartNats, tmp_path: Path
) -> None:
    authority, other = Identity("ours"), Identity("other")
    servers = start_nats(extra=tls(tmp_path, authority))
    async with connected(servers.url, ca=tmp_path / "ca.pem"):
        pass
    ca = other.write(tmp_path / "other", "ca").certificate
    assert "certificate verify failed" in (await reason(servers.url, ca=ca)).lower()


async def test_a_node_proves_itself_by_a_certificate_of_its_own(
    start_nats: StartNats, tmp_path: Path
) -> None:
    authority = Identity("ours")
    servers = start_nats(extra=tls(tmp_path, authority, verify=True))
    own = Identity.client("chat", by=authority).write(tmp_path, "own")
    ca = tmp_path / "ca.pem"
    async with connected(servers.url, ca=ca, cert=own.certificate, key=own.key):
        pass


@pytest.mark.parametrize("how", ["tls", "ca"])
async def test_nothing_is_told_to_a_server_that_does_not_encrypt_and_has_to(
    nats_server: NatsServers, tmp_path: Path, how: str
) -> None:
    url = nats_server.url.replace("nats://", "tls://" if how == "tls" else "nats://")
    ca = Identity("ours").write(tmp_path, "ca").certificate
    files = {"ca": ca} if how == "ca" else {}
    assert "secure connection" in await reason(url, **files)


async def test_a_certificate_file_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "cannot use the certificates for NATS" in await reason("x:1", ca=tmp_path / "none")


# --- ending tasks ---


async def test_a_task_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    deaf = 2

    async def stubborn() -> None:
        nonlocal deaf
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                deaf -= 1
                if not deaf:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(end(task), 5)
    assert task.cancelled()
