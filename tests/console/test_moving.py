"""A single server's history, exported, begins a cluster's log; clients go on where they were."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from chat.v1 import cursor_pb2
from tests.cluster.servers import NatsServers, nats_server, stream
from tests.console.command import Done, ask, chat_server, complaint, rows, run, said
from tests.processes import ServerProcess, StartServer
from tests.raw_clients import RpcClient

__all__ = ["nats_server", "stream"]

SECRET = "the secret of ann"


@pytest.fixture
def cluster(nats_server: NatsServers, stream: str) -> tuple[str, ...]:
    return "--nats", nats_server.url, "--nats-stream", stream


@pytest.fixture
def export(data: Path, tmp_path: Path) -> Path:
    return tmp_path / "export"


def move(data: Path, export: Path, cluster: tuple[str, ...]) -> Done:
    said(chat_server("export", str(export), "--data", str(data)))
    return chat_server("import", str(export), *cluster)


def moved(done: Done) -> str:
    """Return what an import says, beside the warning that one server keeps one copy."""
    assert done.returncode == 0, done.stderr
    return done.stdout


async def talk(server: ServerProcess, *texts: str, **hello: Any) -> RpcClient:
    """Come as ann, say something and go; returns what she has heard."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.endpoints["grpc"], options) as channel:
        ann = await RpcClient(channel).enter("ann", client_id=SECRET, **hello)
        for nonce, text in enumerate(texts, ann.welcome.last_nonce + 1):
            assert (await ann.say(text, nonce=nonce)).HasField("ack")
        ann.past = [it.message.text for it in await ann.history()]  # type: ignore[attr-defined]
        await ann.hang_up()
    return ann


async def test_clients_go_on_in_the_cluster_with_their_cursors_and_nonces(
    data: Path,
    tmp_path: Path,
    export: Path,
    cluster: tuple[str, ...],
    server_process: StartServer,
) -> None:
    run("add", "root", "--admin", data=data)
    server = server_process()
    before = await talk(server, "one", "two")
    await server.stop()
    told = moved(move(data, export, cluster))
    assert "goes on from seq 2" in told
    nodes = [
        server_process(*cluster, "--node", name, "--data", str(tmp_path / name))
        for name in ("n1", "n2")
    ]
    cursor = cursor_pb2.Cursor(epoch=before.welcome.cursor.epoch, seq=1)
    after = await talk(nodes[1], "three", resume=cursor)
    assert after.welcome.resumed
    assert after.welcome.last_nonce == 2
    assert after.messages[0].seq == 2
    again = await talk(nodes[0])
    assert again.past == ["one", "two", "three"]  # type: ignore[attr-defined]
    assert [row["user"] for row in rows(ask(nodes[0], "list", "--json"))] == ["root"]
    for node in nodes:
        await node.stop()


def test_an_import_may_be_done_again_until_the_cluster_runs(
    data: Path, export: Path, cluster: tuple[str, ...], server_process: StartServer
) -> None:
    run("add", "ann", data=data)
    moved(move(data, export, cluster))
    moved(chat_server("import", str(export), *cluster))


async def test_a_log_that_has_begun_is_not_begun_anew(
    data: Path,
    tmp_path: Path,
    export: Path,
    cluster: tuple[str, ...],
    server_process: StartServer,
) -> None:
    run("add", "ann", data=data)
    node = server_process(*cluster, "--data", str(tmp_path / "n1"))
    await node.stop()
    assert complaint(move(data, export, cluster)).startswith("there is a log already in the stream")


async def test_data_that_went_on_after_the_export_is_not_a_node_s(
    data: Path,
    export: Path,
    cluster: tuple[str, ...],
    server_process: StartServer,
) -> None:
    run("add", "ann", data=data)
    moved(move(data, export, cluster))
    run("add", "bob", data=data)
    server = server_process(*cluster)
    assert await server.exit_status() == 1
    assert "has the history of the server that was exported, and more" in server.log


async def test_a_log_that_was_lost_is_begun_anew_with_what_a_node_has_made_of_it(
    data: Path,
    tmp_path: Path,
    export: Path,
    cluster: tuple[str, ...],
    server_process: StartServer,
) -> None:
    """As docs/cluster.md tells what to do when the log itself is lost."""
    node = server_process(*cluster)
    before = await talk(node, "one", "two")
    await node.stop()
    backup, recovered = str(tmp_path / "last.db"), tmp_path / "recovered"
    said(chat_server("backup", backup, "--data", str(data)))
    said(chat_server("restore", backup, "--data", str(recovered)))
    another = (*cluster[:3], f"{cluster[3]}-2")
    moved(move(recovered, export, another))
    node = server_process(*another, "--data", str(tmp_path / "n1"))
    after = await talk(node, "three", resume=before.welcome.cursor)
    assert not after.welcome.resumed
    assert after.past == ["one", "two", "three"]  # type: ignore[attr-defined]
    await node.stop()


# --- what cannot be imported, in one line ---


async def test_a_copy_of_a_cluster_s_node_is_restored_instead(
    data: Path, export: Path, cluster: tuple[str, ...], server_process: StartServer
) -> None:
    server = server_process(*cluster)
    await talk(server, "hello")
    await server.stop()
    said(chat_server("backup", str(export), "--data", str(data)))
    reason = complaint(chat_server("import", str(export), *cluster))
    assert reason.endswith("chat-server restore FILE --same-log makes a node of it")
    refused = complaint(chat_server("export", str(export) + "2", "--data", str(data)))
    assert "the data of a cluster's node" in refused


def test_what_is_missing_is_told(export: Path, cluster: tuple[str, ...]) -> None:
    assert complaint(chat_server("import", str(export), *cluster)) == f"there is no file {export}"
    assert complaint(chat_server("import", str(export))) == "say where NATS is: --nats URL"


def test_nats_that_is_away_is_one_line(data: Path, export: Path, tmp_path: Path) -> None:
    run("add", "ann", data=data)
    said(chat_server("export", str(export), "--data", str(data)))
    done = chat_server("import", str(export), "--nats", "nats://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "chat-server: cannot reach NATS"
