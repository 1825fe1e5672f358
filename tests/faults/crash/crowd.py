"""Those who chat while the server dies and the network fails, and write down what they see."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Final

import grpc.aio

from chat.v1 import chat_pb2, chat_pb2_grpc, commands_pb2, events_pb2
from chat_client import ChatClient, CommandError, State

from .ledger import Ledger, Line, Sent

ROOMS: Final = ("#lobby", "#dev", "#ops")

_WITNESSES: Final = 2
_AT_ONE_TIME: Final = 16
"""Messages of one person that wait for their Ack."""

_LONGEST_PAUSE: Final = 0.4
_WITNESS_PATIENCE: Final = 3.0
_WITNESS_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    # What gRPC never got onto a connection it writes again at once, on its own and without end.
    ("grpc.enable_retries", 0),
)


class Person:
    """A ChatClient that talks in its rooms and in private, several messages at a time."""

    def __init__(
        self, ledger: Ledger, server: str, user: str, rooms: Sequence[str], random: Random
    ) -> None:
        self.friends: Sequence[str] = ()
        """Whom it writes to in private."""
        self.reconnects = 0
        self.user = user
        self.chat = ChatClient(
            server,
            user,
            rooms=[room for room in rooms if room != "#lobby"],
            on_state=self._note_state,
            connect_timeout=30.0,
            leave_timeout=1.0,
        )
        self._ledger = ledger
        self._rooms = rooms
        self._random = random
        self._places = itertools.count(1)
        self._window = asyncio.Semaphore(_AT_ONE_TIME)
        ledger.rooms[user] = frozenset(rooms)

    async def listen(self) -> None:
        """Write down every message, until the client is closed."""
        async for event in self.chat:
            if event.HasField("message"):
                self._ledger.seen[self.user].append(Line.of(event))
            elif event.HasField("gap"):
                self._ledger.gaps.append(f"{self.user} was told of a gap: {event.gap}")

    async def talk(self, enough: asyncio.Event) -> None:
        """Say one thing after another, in bursts, until it is enough and all has its reply."""
        async with asyncio.TaskGroup() as saying:
            while not enough.is_set():
                for _ in range(self._random.randint(1, 12)):
                    await self._window.acquire()
                    saying.create_task(self._say())
                with contextlib.suppress(TimeoutError):
                    pause = self._random.uniform(0.0, _LONGEST_PAUSE)
                    await asyncio.wait_for(enough.wait(), pause)

    async def _say(self) -> None:
        place = next(self._places)
        to = self._addressee()
        length = self._random.choice((0, 0, 0, 30, 300, 3000))
        sent = Sent(self.user, place, to, f"{self.user} {place} {'.' * length}")
        self._ledger.sent[sent.text] = sent
        try:
            sent.ack = await self.chat.send(to, sent.text)
        except CommandError as refusal:
            sent.refused = str(refusal)
        finally:
            self._window.release()

    def _addressee(self) -> str:
        kind = self._random.random()
        if kind < 0.2 and self.friends:
            return "@" + self._random.choice(self.friends)
        return self._random.choice(self._rooms)

    def _note_state(self, state: State) -> None:
        self.reconnects += state is State.RECONNECTING


class Witness:
    """Reads the stream as it comes, with no ChatClient to hide what the server repeats.

    It is in the lobby alone, gives up early and comes back at once.
    """

    def __init__(self, ledger: Ledger, server: str, user: str, random: Random) -> None:
        self._seen = ledger.seen[user]
        self._gaps = ledger.gaps
        self._server = server
        self._hello = commands_pb2.Hello(user=user, client_id=f"the secret of {user}")
        self._random = random
        self.welcomed = asyncio.Event()
        ledger.rooms[user] = frozenset(("#lobby",))

    async def watch(self) -> None:
        """Write down every message, over as many streams as it takes, until cancelled."""
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError, TimeoutError):
                await self._watch_one_stream()
            await asyncio.sleep(self._random.uniform(0.0, 0.3))

    async def _watch_one_stream(self) -> None:
        async with grpc.aio.insecure_channel(self._server, options=_WITNESS_OPTIONS) as channel:
            call = chat_pb2_grpc.ChatStub(channel).Connect()
            hello = commands_pb2.Command(hello=self._hello)
            await call.write(chat_pb2.ClientFrame(commands=[hello]))
            while True:
                # In the lobby somebody always talks: silence is a dead connection.
                async with asyncio.timeout(_WITNESS_PATIENCE):
                    frame = await call.read()
                if not isinstance(frame, chat_pb2.ServerFrame):
                    return
                for event in frame.events:
                    self._take(event)

    def _take(self, event: events_pb2.Event) -> None:
        if event.HasField("welcome"):
            self._hello.resume.CopyFrom(event.welcome.cursor)
            self.welcomed.set()
        elif event.HasField("gap"):
            self._gaps.append(f"a witness was told of a gap: {event.gap}")
        elif event.seq:
            self._hello.resume.seq = event.seq
            if event.HasField("message"):
                self._seen.append(Line.of(event))


class Crowd:
    """People and witnesses, and what they have written down."""

    def __init__(self, server: str, people: int, seed: str) -> None:
        def random(user: str) -> Random:
            return Random(f"{seed} {user}")

        self.ledger = Ledger()
        self.people: list[Person] = []
        for n in range(people):
            user = f"person-{n}"
            rooms = [room for place, room in enumerate(ROOMS) if place == 0 or (n + place) % 3]
            self.people.append(Person(self.ledger, server, user, rooms, random(user)))
        for n, person in enumerate(self.people):
            person.friends = [self.people[(n + step) % people].user for step in (1, 4)]
        users = [f"witness-{n}" for n in range(_WITNESSES)]
        self._witnesses = [Witness(self.ledger, server, user, random(user)) for user in users]

    @asynccontextmanager
    async def gathered(self) -> AsyncIterator[None]:
        """Let everybody in, and into their rooms, before anything is said; see them off."""
        async with AsyncExitStack() as chats, asyncio.TaskGroup() as ears:
            for person in self.people:
                await chats.enter_async_context(person.chat)
                ears.create_task(person.listen(), name=person.user)
            watching = [ears.create_task(witness.watch()) for witness in self._witnesses]
            await asyncio.gather(*(witness.welcomed.wait() for witness in self._witnesses))
            yield
            for task in watching:
                task.cancel()
            await asyncio.gather(*(person.chat.close() for person in self.people))

    def figures(self) -> str:
        """Return what they have been through."""
        sent = self.ledger.sent.values()
        return (
            f"clients: {len(self.ledger.rooms)}, "
            f"deliveries {sum(map(len, self.ledger.seen.values()))}, "
            f"reconnects {sum(person.reconnects for person in self.people)}, "
            f"acknowledged as duplicates {sum(it.ack.duplicate for it in sent if it.ack)}"
        )


async def read_history(chat: ChatClient, to: str) -> list[Line]:
    """Return all that was ever said, page by page, oldest first."""
    pages: list[list[Line]] = []
    before, more = 0, True
    while more:
        page = await chat.history(to, before_seq=before, limit=100)
        pages.insert(0, [Line.of(event) for event in page.events])
        before, more = page.events[0].seq if page.events else 0, page.more
    return list(itertools.chain(*pages))
