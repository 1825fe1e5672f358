"""What the process says on stdout and in its log."""

import json
import re
import socket

import grpc
import pytest

from tests.processes import StartServer
from tests.raw_clients import RpcClient, TcpClient
from tests.waiting import until

SECRET = "xyzzy-plugh-42"


async def test_stdout_is_one_line_with_the_real_ports(server_process: StartServer) -> None:
    server = server_process()
    match = re.fullmatch(r"ready grpc=127\.0\.0\.1:(\d+) tcp=127\.0\.0\.1:(\d+)\n", server.ready)
    assert match is not None
    for port in match.groups():
        socket.create_connection(("127.0.0.1", int(port)), 5).close()
    await server.stop()
    assert server.rest_of_stdout() == ""


async def test_the_web_listener_is_told_of_last(server_process: StartServer) -> None:
    server = server_process("--web", "127.0.0.1:0")
    assert list(server.endpoints) == ["grpc", "tcp", "web"]
    host, port = server.endpoints["web"].split(":")
    socket.create_connection((host, int(port)), 5).close()
    await server.stop()


@pytest.mark.parametrize(("off", "on"), [("tcp", "grpc"), ("grpc", "tcp")])
async def test_a_listener_that_is_off_is_not_told_of(
    server_process: StartServer, off: str, on: str
) -> None:
    server = server_process(f"--{off}", "off")
    assert re.fullmatch(rf"ready {on}=127\.0\.0\.1:\d+\n", server.ready)
    await server.stop()


async def test_the_log_is_on_stderr_for_people(server_process: StartServer) -> None:
    server = server_process()
    await server.stop()
    events = [line for line in server.log.splitlines() if line]
    assert re.search(r"\[info.*\] ready .*epoch=\w+ seq=0", events[0])
    assert "shutting down" in server.log
    assert re.search(r"\bstopped\b", events[-1])
    assert "\x1b" not in server.log


async def test_the_log_may_be_json_lines(server_process: StartServer) -> None:
    server = server_process("--log-format", "json", "--log-level", "debug")
    await (await TcpClient(server.endpoints["tcp"]).enter("ann")).hang_up()
    await server.stop()
    events = [json.loads(line) for line in server.log.splitlines()]
    assert {"ready", "welcome", "closed", "stopped"} <= {event["event"] for event in events}
    assert all({"timestamp", "level", "logger"} <= set(event) for event in events)


async def test_no_word_that_was_said_is_in_the_log(server_process: StartServer) -> None:
    server = server_process("--log-level", "debug")
    async with grpc.aio.insecure_channel(server.endpoints["grpc"]) as channel:
        ann = await RpcClient(channel).enter("ann", client_id=SECRET)
        bob = await TcpClient(server.endpoints["tcp"]).enter("bob")
        await ann.say(SECRET)
        await ann.say(SECRET, "@bob")
        assert (await ann.say(SECRET, "@nobody")).HasField("error")
        for line in (SECRET, f"/msg ann {SECRET}", f"//{SECRET}", "x" * 5000 + SECRET):
            bob.write(line)
        await until(lambda: len(ann.messages) >= 5)
        await until(lambda: any(line.startswith("! ") for line in bob.lines))
        await ann.hang_up()
        await bob.hang_up()
    await server.stop()
    assert "ann" in server.log
    assert SECRET not in server.log
