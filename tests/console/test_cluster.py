"""Accounts and bans of a cluster, changed through its log, whether its nodes run or not."""

from pathlib import Path

import nats
import pytest

from chat.cluster.v1.record_pb2 import Record
from chat_service.console import destination
from chat_service.console.destination import reached
from chat_service.console.port import NotDone
from chat_service.nats_connection import NatsSettings
from chat_service.wire.record import FORMAT
from tests.cluster.servers import NatsServers, nats_server, stream
from tests.console.command import (
    PASSWORD,
    Done,
    ask,
    chat_server,
    complaint,
    guest,
    heard,
    rows,
    run,
    said,
)
from tests.processes import StartServer

__all__ = ["nats_server", "stream"]

NO_SERVER = "nats://127.0.0.1:9"


@pytest.fixture
def cluster(nats_server: NatsServers, stream: str) -> tuple[str, ...]:
    return "--nats", nats_server.url, "--nats-stream", stream


def told(done: Done) -> str:
    """Return what a command says, beside the warning that one server keeps one copy."""
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(done: Done) -> str:
    """Return why a command was refused, beside that warning."""
    assert (done.returncode, done.stdout) == (1, ""), done
    return done.stderr.splitlines()[-1].removeprefix("chat-server: ")


async def records(nats_server: NatsServers, stream: str) -> list[bytes]:
    """Return what is in the log."""
    client = await nats.connect(nats_server.url)
    try:
        js = client.jetstream(timeout=10)
        last = (await js.stream_info(stream)).state.last_seq
        return [(await js.get_msg(stream, it)).data or b"" for it in range(1, last + 1)]
    finally:
        await client.close()


async def test_the_first_admin_is_made_before_any_node_starts(
    cluster: tuple[str, ...], nats_server: NatsServers, stream: str, server_process: StartServer
) -> None:
    assert told(chat_server("user", "add", "Root", "--admin", *cluster)) == "added root, an admin\n"
    (record,) = await records(nats_server, stream)
    assert b"$argon2id$" in record
    assert PASSWORD.encode() not in record
    node = server_process(*cluster)
    assert [row["admin"] for row in rows(ask(node, "list", "--json"))] == [True]
    await node.stop()


async def test_the_first_admin_of_a_running_cluster_is_one_on_every_node(
    cluster: tuple[str, ...], server_process: StartServer, tmp_path: Path
) -> None:
    nodes = [
        server_process(*cluster, "--node", name, "--data", str(tmp_path / name))
        for name in ("n1", "n2")
    ]
    variables = {"CHAT_NATS": cluster[1], "CHAT_NATS_STREAM": cluster[3]}  # as in a container
    made = chat_server("user", "add", "root", "--admin", **variables)
    assert told(made) == "added root, an admin\n"
    for node in nodes:
        assert [row["user"] for row in rows(ask(node, "list", "--json"))] == ["root"]
    again = chat_server("user", "add", "root", "--admin", *cluster)
    assert refusal(again) == "the name root is registered"
    for node in nodes:
        await node.stop()


async def test_who_is_connected_keeps_the_name_and_is_ended_by_a_ban(
    cluster: tuple[str, ...], server_process: StartServer
) -> None:
    node = server_process(*cluster)
    with guest(node, "mallory") as lines:
        taken = chat_server("user", "add", "mallory", *cluster)
        assert refusal(taken) == "the name mallory is taken"
        banned = told(chat_server("user", "ban", "mallory", *cluster))
        assert banned == "banned mallory, and ended 1 connection\n"
        assert heard(lines, "banned")
    await node.stop()


def test_a_cluster_that_began_with_a_history_is_asked_about_that_as_well(
    cluster: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    said(run("add", "ann", data=data))
    said(chat_server("export", str(tmp_path / "export"), "--data", str(data)))
    told(chat_server("import", str(tmp_path / "export"), *cluster))
    assert refusal(chat_server("user", "add", "ann", *cluster)) == "the name ann is registered"
    assert told(chat_server("user", "admin", "ann", *cluster)) == "ann is an admin now\n"
    assert '"admin": true' in told(chat_server("user", "list", "--json", *cluster))


async def test_a_nodes_data_are_not_changed_behind_the_log_even_where_that_has_no_record(
    cluster: tuple[str, ...], data: Path, server_process: StartServer
) -> None:
    await server_process(*cluster).stop()
    reason = complaint(run("add", "root", "--admin", data=data))
    assert reason.startswith(f"{data} is the data of a cluster's node")
    assert server_process(*cluster).ready  # on data that are as they were


async def test_what_a_later_version_has_written_is_not_passed_over(
    cluster: tuple[str, ...], nats_server: NatsServers, stream: str
) -> None:
    told(chat_server("user", "add", "ann", *cluster))
    client = await nats.connect(nats_server.url)
    try:
        await client.jetstream(timeout=10).publish(
            f"{stream}.log", Record(publisher="p", number=1, needs=FORMAT + 1).SerializeToString()
        )
    finally:
        await client.close()
    reason = refusal(chat_server("user", "add", "root", "--admin", *cluster))
    assert reason.startswith(
        "the log cannot be followed: record 2 of the log was written by a newer"
    )


async def test_it_is_told_that_nats_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination, "_REACHED_WITHIN", 0.2)
    with pytest.raises(NotDone, match="cannot reach NATS"):
        await reached(NatsSettings((NO_SERVER,), "a test"))


def test_data_and_a_cluster_are_not_named_together(tmp_path: Path) -> None:
    done = run("add", "root", "--nats", NO_SERVER, data=tmp_path)
    assert "--data and --nats" in complaint(done, status=2)


def test_a_setting_that_no_node_would_take_is_not_taken_here(nats_server: NatsServers) -> None:
    done = chat_server("user", "list", "--nats", nats_server.url, "--nats-stream", "a.b")
    assert complaint(done).startswith("nats_stream: not up to 32 letters")
