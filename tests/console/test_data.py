"""A server's data as a whole: backed up beside it, restored, compared, taken elsewhere."""

import json
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from chat_service.console.data import check_nodes
from tests.cluster.servers import NatsServers, nats_server, stream
from tests.console.command import chat_server, complaint, order, rows, run, said
from tests.processes import ServerProcess, StartServer
from tests.waiting import until

__all__ = ["nats_server", "stream"]


def speak(server: ServerProcess, user: str, *texts: str) -> None:
    """Say things over TCP, and wait until the last of them has come back by the history."""
    host, port = server.endpoints["tcp"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\n".join([user, *texts, "/history 1", ""]).encode())
        with closing(connection.makefile("r", encoding="utf-8")) as lines:
            assert any(texts[-1] in line for line in lines)


def found(*places: Path) -> list[dict[str, Any]]:
    return rows(chat_server("check", "--json", *map(str, places)))


def back_up(data: Path, file: Path) -> str:
    return said(chat_server("backup", str(file), "--data", str(data)))


async def test_a_backup_of_a_running_server_is_whole(
    data: Path, tmp_path: Path, server_process: StartServer
) -> None:
    server = server_process()
    speak(server, "ann", "one", "two", "three")
    assert "up to seq 3" in back_up(data, tmp_path / "backup")
    speak(server, "bob", "four")
    (copy,) = found(tmp_path / "backup")
    assert (copy["seq"], copy["sound"]) == (3, True)
    (running,) = found(data)
    assert (running["seq"], running["epoch"]) == (4, copy["epoch"])
    await server.stop()


async def test_restored_data_is_served_under_a_new_epoch(
    data: Path, tmp_path: Path, server_process: StartServer
) -> None:
    server = server_process()
    speak(server, "ann", "kept")
    back_up(data, tmp_path / "backup")
    speak(server, "ann", "came too late")
    await server.stop()
    again = tmp_path / "again"
    said(chat_server("restore", str(tmp_path / "backup"), "--data", str(again)))
    old, new = found(tmp_path / "backup", again)
    assert old["epoch"] != new["epoch"]
    server = server_process("--data", str(again))
    host, port = server.endpoints["tcp"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"bob\n/history 5\n/quit\n")
        with closing(connection.makefile("r", encoding="utf-8")) as lines:
            heard = "".join(lines)
    assert "kept" in heard
    assert "too late" not in heard


def test_check_tells_two_that_should_be_equal_and_are_not(
    data: Path, tmp_path: Path, server_process: StartServer
) -> None:
    server = server_process()
    speak(server, "ann", "hello")
    server.kill()
    copy = tmp_path / "copy"
    back_up(data, copy)
    assert "yes" in said(chat_server("check", str(data), str(copy)))
    with closing(apsw.Connection(str(copy))) as db:
        db.execute("UPDATE events SET at = at + 1")
    done = chat_server("check", "--json", str(data), str(copy))
    assert done.returncode == 1
    assert "have diverged: they differ at position 0, seq 1" in done.stderr
    one, other = (json.loads(line) for line in done.stdout.splitlines())
    assert one["content"] != other["content"]


def test_check_looks_at_the_setting_of_the_server_by_default(data: Path) -> None:
    run("add", "ann", data=data)
    heading, line = said(chat_server("check", CHAT_DATA=str(data))).splitlines()
    assert heading.split() == ["DATA", "SOUND", "EPOCH", "SEQ", "POSITION", "DIGEST", "CONTENT"]
    assert line.split()[:2] == [str(data), "yes"]


def test_an_export_has_nobody_connected(
    data: Path, tmp_path: Path, server_process: StartServer
) -> None:
    server = server_process()
    host, port = server.endpoints["tcp"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"ann\nhello\n/history 1\n")
        with closing(connection.makefile("r", encoding="utf-8")) as lines:
            assert any("hello" in line for line in lines)
            server.kill()
    told = said(chat_server("export", str(tmp_path / "export"), "--data", str(data)))
    assert "up to seq 1" in told
    with closing(apsw.Connection(str(tmp_path / "export"))) as db:
        assert db.execute("SELECT count(*) FROM seats").fetchone() == (0,)
    old, new = found(data, tmp_path / "export")
    assert (old["epoch"], old["content"]) == (new["epoch"], new["content"])


async def test_check_asks_a_running_cluster_for_its_nodes(
    data: Path,
    tmp_path: Path,
    nats_server: NatsServers,
    stream: str,
    server_process: StartServer,
) -> None:
    run("add", "root", "--admin", data=data)
    said(chat_server("export", str(tmp_path / "export"), "--data", str(data)))
    cluster = ("--nats", nats_server.url, "--nats-stream", stream)
    assert chat_server("import", str(tmp_path / "export"), *cluster).returncode == 0
    one, _other = (
        server_process(*cluster, "--node", name, "--data", str(tmp_path / name))
        for name in ("one", "other")
    )
    found: list[dict[str, Any]] = []

    def both() -> bool:
        found[:] = rows(order(one, "check", "--json"))
        return len(found) == 2 and all(row["agrees"] == "yes" for row in found)

    await until(both, within=20, what="both nodes to agree")
    assert [row["node"] for row in found] == ["one", "other"]
    assert all(row["live"] and 0 < row["agreed"] <= row["position"] for row in found)
    heading, *lines = said(order(one, "check")).splitlines()
    assert heading.split()[:5] == ["NODE", "LIVE", "AGREES", "AGREED", "POSITION"]
    assert [line.split()[:3] for line in lines] == [["one", "yes", "yes"], ["other", "yes", "yes"]]


def test_a_node_that_has_diverged_is_told() -> None:
    node = {"live": True, "position": "7", "connections": 1, "version": "1", "instance": "i"}
    told = {
        "node": "one",
        "nodes": [
            {"name": "one", "diverged": False, "agreed_position": "7", **node},
            {"name": "other", "diverged": True, "agreed_position": "5", **node},
            {"name": "newer", "diverged": False, "agreed_position": "0", **node},
        ],
    }
    listed, (wrong,) = check_nodes(told)
    assert [(row["agrees"], row["agreed"]) for row in listed] == [
        ("yes", 7),
        ("no", 5),
        ("not compared", None),
    ]
    assert wrong.startswith("other has made something else of the log than one")


# --- what cannot be done, in one line ---


def test_an_export_takes_a_stopped_server(
    data: Path, tmp_path: Path, server: ServerProcess
) -> None:
    done = chat_server("export", str(tmp_path / "export"), "--data", str(data))
    assert complaint(done).startswith(f"a server is running on {data}: stop it first")
    assert not (tmp_path / "export").exists()


def test_data_of_a_running_server_is_not_restored_over(
    data: Path, tmp_path: Path, server: ServerProcess
) -> None:
    back_up(data, tmp_path / "backup")
    done = chat_server("restore", str(tmp_path / "backup"), "--data", str(data))
    assert complaint(done) == f"another server is using {data}"


def test_what_is_not_there_is_told(data: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    for done in (
        chat_server("backup", str(tmp_path / "b"), "--data", nowhere),
        chat_server("export", str(tmp_path / "b"), "--data", nowhere),
        chat_server("check", nowhere),
    ):
        assert complaint(done) == f"there is no server's data in {nowhere}"
    done = chat_server("restore", nowhere, "--data", str(data))
    assert complaint(done) == f"there is no file {nowhere}"
    assert "keeps nothing" in complaint(chat_server("backup", "b", "--data", ":memory:"))


def test_a_backup_is_never_written_over(data: Path, tmp_path: Path) -> None:
    run("add", "ann", data=data)
    file = tmp_path / "backup"
    file.write_text("precious")
    assert "is there already" in complaint(chat_server("backup", str(file), "--data", str(data)))
    assert file.read_text() == "precious"
