"""A node for fuzzers, and what must be true of it after any input."""

import asyncio
import contextlib
import io
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from unittest import mock

import aiohttp
import grpc

from chat_service import logs
from chat_service.auth.guessing import GuessLimiter
from chat_service.auth.passwords import Passwords
from chat_service.auth.tokens import PREFIX, digest
from chat_service.config import Config, Endpoint, Keep
from chat_service.core.commands import (
    ByPassword,
    EntryBody,
    Grant,
    Register,
    Token,
    UnbanSubject,
    UpdateAccount,
)
from chat_service.core.lookalike import skeleton
from chat_service.core.rules.proofs import CONSOLE
from chat_service.desk import Desk
from chat_service.node import Node
from chat_service.reception import Reception
from tests.accounts import CHEAP
from tests.memory import resident
from tests.scenarios.heard import Said
from tests.scenarios.people import TcpPerson
from tests.scenarios.programs import GrpcPerson
from tests.waiting import until

CUT: Final = b"\xff\xff\xff\xff"
"""What parts one chunk of an input from the next."""

PASSWORD: Final = "correct horse"
TOKEN: Final = PREFIX + "A" * 43
"""What the inputs of the corpus know: the password and a token of `ann`, who is an admin."""

GROWTH: Final = 192 * 1024 * 1024
"""Bytes by which the process may have grown since it was warm, what the fuzzer keeps included."""

_WARM: Final = 1_000
_CHECKED_EACH: Final = 500
_FOREVER: Final = 2**53
_HOUR: Final = 3600.0


class Rig:
    """A node in this process, and how it is doing."""

    def __init__(self, node: Node, log: io.StringIO) -> None:
        self.node = node
        self.reception: Reception = node._transports["tcp"]._reception  # type: ignore[attr-defined]
        self.channel = grpc.aio.insecure_channel(str(node.endpoints["grpc"]))
        self.http = aiohttp.ClientSession(f"http://{node.endpoints['web']}")
        self._desk = Desk(node.hub, node._ledger, lambda: time.time_ns() // 1000)
        self._log = log
        self._hash = CHEAP.hash(PASSWORD)
        self._inputs = 0
        self._warm_size = 0

    async def prepare(self) -> None:
        """Make the account that inputs know of, as often as one has changed it."""
        store, now = self.node._store, self._desk.now()
        for ban in await store.bans(now):
            await self._submit(UnbanSubject(ban.subject, None))
        known = await store.credentials("ann")
        if known is None:
            body = Register(self._hash, skeleton("ann"), admin=True, by=CONSOLE)
            await self._submit(body, "ann")
        elif known.hash != self._hash or not await store.is_admin("ann"):
            await self._submit(UpdateAccount("ann", None, self._hash, admin=True))
        if await store.signed_in(digest(TOKEN), now) is None:
            known = await store.credentials("ann")
            assert known is not None
            token = Token(digest(TOKEN), _FOREVER)
            await self._submit(Grant(token, ByPassword(known.generation)), "ann")

    async def check(self) -> None:
        """Fail if an input has done harm: called after each, and looks closer now and then."""
        self._inputs += 1
        log = self._log.getvalue()
        assert "error" not in log, log
        assert "Traceback" not in log, log
        assert not self.node._following.done(), "the follower has ended"
        if self._inputs == _WARM:
            self._warm_size = resident()
        if self._inputs % _CHECKED_EACH == 0:
            await self.check_closely()

    async def check_closely(self) -> None:
        """Fail unless all is given back, and two people can chat."""
        await until(lambda: not len(self.node.hub.registry), what="all sessions to end")
        await until(lambda: not self._leftovers(), what=f"the tasks to end: {self._leftovers()}")
        await self._chat()
        if self._warm_size:
            grown = resident() - self._warm_size
            assert grown < GROWTH, f"{grown / 1024 / 1024:.0f} MiB more than when warm"

    def _leftovers(self) -> list[str]:
        """Return the tasks of sessions and connections that there are."""
        names = [task.get_name() for task in asyncio.all_tasks()]
        return [name for name in names if name.startswith(("grpc ", "tcp "))]

    async def _chat(self) -> None:
        names = [f"normal{secrets.token_hex(4)}" for _ in range(2)]
        writer, reader = TcpPerson(names[0], ""), GrpcPerson(names[1], "")
        try:
            await writer.connect(self.node)
            await reader.connect(self.node)
            await writer.say("still here?")
            await reader.hears(Said("#lobby", names[0], "still here?"))
        finally:
            await writer.hang_up()
            await reader.hang_up()

    async def _submit(self, body: EntryBody, user: str = CONSOLE) -> None:
        await self._desk.submit(user, body)


@asynccontextmanager
async def rigged(data: Path) -> AsyncIterator[Rig]:
    """Start a node that limits nothing by rate, and whose passwords cost next to nothing."""
    log = io.StringIO()
    logs.configure("warning", "human", log)
    with _unhurried():
        node = Node(_config(data))
        await node.start()
    rig = Rig(node, log)
    try:
        await rig.prepare()
        yield rig
    finally:
        await rig.channel.close()
        await rig.http.close()
        await node.stop()
        logs.configure("warning", "human")


def _config(data: Path) -> Config:
    anywhere = Endpoint("127.0.0.1", 0)
    return Config(
        grpc=anywhere,
        tcp=anywhere,
        web=anywhere,
        data=data,
        keep=Keep.parse("1000"),
        rate_connects=None,
        rate_commands=None,
        rate_bytes=None,
        rate_registrations=None,
    )


@contextlib.contextmanager
def _unhurried() -> Iterator[None]:
    """Let passwords be cheap, and an hour pass between any two tries to guess one."""
    hours = itertools.count()
    limiter = GuessLimiter(lambda: next(hours) * _HOUR)
    with (
        mock.patch("chat_service.node.Passwords", return_value=Passwords(CHEAP)),
        mock.patch("chat_service.node.GuessLimiter", return_value=limiter),
    ):
        yield
