"""One connection's life, the same for every transport.

A transport makes a Session when a client connects, hands it the bytes that come (`feed`) and the
end of input (`end_of_input`), writes what its outbox holds, and closes it when the connection is
over, in whatever way (`close`). Between those calls the session is in one of these phases:

    NEW ──hello──▶ ENTERING ──applied──▶ OPEN ──▶ ENDED
     └───────────── refused, timed out ───────────▲

ENDED means that the last event is in the outbox; the transport flushes it and closes.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any, Final

from chat_service.auth.doorman import Certified, Origin
from chat_service.catch_up import catch_up, starting_point
from chat_service.core import limits
from chat_service.core.address import parse_name
from chat_service.core.checks import CHECKS, check_send
from chat_service.core.commands import (
    ChangePassword,
    Command,
    CommandBody,
    Entry,
    Hello,
    Join,
    Leave,
    MayChangePassword,
    MaySignUp,
    Moderate,
    Quit,
    Secret,
    Send,
    SignUp,
)
from chat_service.core.errors import (
    Banned,
    ErrorCode,
    HelloRequired,
    InvalidCommand,
    RateLimited,
    Refusal,
    Unauthenticated,
)
from chat_service.core.events import (
    REVOKED,
    SLOW,
    Ack,
    Error,
    Event,
    Goodbye,
    GoodbyeReason,
    Pong,
)
from chat_service.core.outcome import Applied, Entered
from chat_service.deadlines import Deadlines
from chat_service.entrance import Entrance
from chat_service.flood import Meter
from chat_service.hub.outbox import Outbox
from chat_service.hub.registry import Subscriber
from chat_service.in_flight import InFlight
from chat_service.inquiries import INQUIRIES, Inquiry
from chat_service.logs import get
from chat_service.nonces import Nonces
from chat_service.services import Services
from chat_service.wire.port import Acked, Codec, Received

_log = get("session")

LINGER = 5.0
"""Seconds that a client has to read its last events after the session has ended."""


class Phase(Enum):
    """Where in its life a session is."""

    NEW = "new"
    ENTERING = "entering"
    OPEN = "open"
    ENDED = "ended"


# A member of an enumeration takes six times as long to look up as a name of the module.
_NEW: Final = Phase.NEW
_ENTERING: Final = Phase.ENTERING
_OPEN: Final = Phase.OPEN
_ENDED: Final = Phase.ENDED


class Session:
    """One connection of one user. Also the `Owner` that the hub talks to.

    `address` is where it comes from, without a port, `certified` what its certificate says, and
    `meter` what counts it, where its connect was counted before. Raises RateLimited if too many
    come from there.
    """

    def __init__(
        self,
        services: Services,
        codec: Codec,
        outbox: Outbox,
        address: str,
        certified: Certified | None = None,
        bearer: Secret | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.outbox = outbox
        self.goodbye: Goodbye | None = None
        """Why it ended; None while it has not, or if the client just left."""
        self.error: ErrorCode | None = None
        """What the client did wrong, if it ended by that."""
        self.on_end: Callable[[], None] | None = None
        """Called when the last event is in the outbox."""
        self._hub = services.hub
        self._archive = services.archive
        self._inquiries = services.inquiries
        self._flood = services.flood
        self._meter = meter or services.flood.connect(address)
        self._codec = codec
        origin = Origin(address, certified=certified)
        epoch, typing = services.archive.epoch, codec.interactive
        self._entrance = Entrance(services.doorman, origin, bearer, epoch, typing=typing)
        self._phase = _NEW
        self._nonces = Nonces()
        self._catching_up: asyncio.Task[None] | None = None
        self._member = Subscriber(
            f"{services.instance}-{secrets.token_hex(8)}", self, codec, outbox
        )
        hub = services.hub
        self._now = services.now
        self._in_flight = InFlight(self.id, services.log, services.now, lambda: hub.draining)
        self._deadlines = Deadlines()
        self._deadlines.hello(limits.HELLO_TIMEOUT, self._hello_missing)
        self._hub.open(self._member)

    @property
    def id(self) -> str:
        """What this connection is called in the logs."""
        return self._member.id

    @property
    def ended(self) -> bool:
        """Whether the last event is in the outbox."""
        return self._phase is _ENDED

    # What the transport tells.

    async def feed(self, data: bytes) -> None:
        """Execute what bytes from the client ask for, in order."""
        if self.ended:
            return
        self._in_flight.received()
        try:
            received = self._codec.feed(data)
        except Refusal as refusal:
            self._break_off(0, refusal, GoodbyeReason.PROTOCOL_ERROR)
            return
        if self.counts(len(data), received):
            await self._execute(received)

    def counts(self, size: int, received: Sequence[Received] = ()) -> bool:
        """Count bytes that came, and refuse what they ask for if they are too many.

        Bytes that ask for nothing, as those of a ping do, cost what a command does.
        """
        try:
            self._meter.received(size)
            if not received:
                self._meter.command()
        except RateLimited as refusal:
            self._refuse_all(received or [(0, refusal)], refusal)
            return False
        return True

    async def end_of_input(self) -> None:
        """Let the client leave cleanly, once everything it asked has been answered."""
        self._in_flight.received()
        await self._execute(self._codec.end_of_input())
        if self.ended:
            return
        try:
            await self._in_flight.all_answered()
        except Refusal as refusal:
            self._break_off(0, refusal, GoodbyeReason.INTERNAL)
            return
        if self._catching_up is not None:  # it was asked for with Hello
            await asyncio.wait((self._catching_up,))
        self._finish()

    async def close(self) -> None:
        """Give back all that the session holds, its connection being over.

        A client that was cut off, or told to connect again, may want its name back: it is kept for
        a while.
        """
        expected_back = not self.ended or (self.goodbye is not None and self.goodbye.reconnect)
        self._finish()
        self._deadlines.cancel()
        if self._catching_up is not None:
            await asyncio.gather(self._catching_up, return_exceptions=True)
        self._hub.leave(self._member, hold=expected_back and not self._entrance.transient)
        _log.debug("closed", session=self.id, user=self._member.user, lost=expected_back)
        # Without these, what was held would stay until the garbage collector finds the circles.
        self.on_end = self.outbox.on_ready = None
        del self._member.owner

    # What the hub tells.

    def answered(self, applied: Sequence[Applied]) -> None:
        """Pass on the replies to some of this session's entries."""
        self._in_flight.answered(len(applied))
        acks: list[Acked] = []
        for it in applied:
            entry, reply = it.entry, it.reply
            if isinstance(reply, Ack):
                acks.append((entry.ref, reply))
                continue
            self._put_acks(acks)
            if isinstance(reply, Entered):
                self._welcome(entry, reply)
            else:
                self._refuse(entry.ref, reply)
        self._put_acks(acks)

    def end(self, goodbye: Goodbye, *, drop: bool = False) -> None:
        """Say goodbye behind everything that waits, or in its stead with `drop`."""
        if self.ended:
            return
        self.goodbye = goodbye
        if drop:
            self.outbox.clear()
        _log.info("goodbye", session=self.id, user=self._member.user, reason=goodbye.reason.name)
        self._finish(self._codec.encode(Event(goodbye)))

    # What the client asks.

    async def _execute(self, received: Sequence[Received]) -> None:
        for it in received:
            if self.outbox.past_half:
                # Replies to one large frame must not fill the outbox of a client that does read.
                self.outbox.wake()
                await self.outbox.room()
            if self.ended or self._hub.draining:
                break
            if not isinstance(it, Command):
                self._refuse_misunderstood(*it)
                continue
            try:
                if (answer := self._begin(it)) is not None:
                    self.outbox.wake()  # it may take a while
                    await answer
            except HelloRequired as refusal:
                self._break_off(it.ref, refusal, GoodbyeReason.PROTOCOL_ERROR)
            except Refusal as refusal:
                self._refuse(it.ref, refusal)
        self.outbox.wake()

    def _refuse_misunderstood(self, ref: int, refusal: Refusal) -> None:
        try:
            self._meter.command()
        except RateLimited as limited:
            refusal = limited
        self._refuse(ref, refusal)

    def _refuse_all(self, received: Sequence[Received], refusal: Refusal) -> None:
        for it in received:
            if isinstance(it, Command):
                self._note_nonce(it.body)
            self._refuse(it.ref if isinstance(it, Command) else it[0], refusal)
        self.outbox.wake()

    def _begin(self, command: Command) -> Awaitable[None] | None:
        """Do what can be done at once; returns what is left to wait for, if anything is."""
        body = command.body
        self._note_nonce(body)
        if self._phase is _NEW and type(body) not in _BEFORE_HELLO:
            raise HelloRequired("say who you are first: the first command is Hello")
        self._meter.command()
        return _BEGIN[type(body)](self, command.ref, body)

    def _note_nonce(self, body: CommandBody) -> None:
        if isinstance(body, Send) and body.nonce:
            self._nonces.receive(body.nonce, answered=self._in_flight.idle)

    async def _enter(self, ref: int, hello: Hello) -> None:
        if self._phase is not _NEW:
            raise InvalidCommand("you have said who you are already")
        self._phase = _ENTERING
        entering = await self._entrance.knock(hello)
        if not self._entrance.transient:  # who has no id pays by its address alone
            self._flood.claim(entering.name, self._entrance.client)
        if self.ended:
            return  # the client has gone while its password was looked at
        self._in_flight.client = self._entrance.client
        async with self._hub.registry.claim(entering.name, self._entrance.client):
            self._in_flight.append(ref, entering.name, entering.body)
            await self._in_flight.all_answered()
        if entering.expires is not None and self._phase is _OPEN:
            seconds = entering.expires - self._now() / 1_000_000
            self._deadlines.expiry(seconds, lambda: self.end(REVOKED))

    def _send(self, ref: int, send: Send) -> Awaitable[None] | None:
        body = check_send(send, self._nonces.first)
        return self._in_flight.submit(ref, self._member.user, body)

    def _order(self, ref: int, it: Join | Leave | Moderate) -> Awaitable[None] | None:
        return self._in_flight.submit(ref, self._member.user, CHECKS[type(it)](it))

    async def _may_sign_up(self, ref: int, it: MaySignUp) -> None:
        await self._in_flight.all_answered()
        self._entrance.check_registration(self._member.user or parse_name(it.user))
        if self._phase is not _NEW:
            await self._entrance.check_unregistered(self._member.user)
        elif self._entrance.may_take_time():
            # Whether the name is an account's is told by trying alone, which is counted.
            self._deadlines.hello(limits.PASSWORD_TIMEOUT, self._hello_missing)
        self._put(Event(Pong(), ref=ref))

    async def _sign_up(self, ref: int, it: SignUp) -> None:
        self._flood.register(self._entrance.address)
        name = self._member.user or parse_name(it.user)
        body = await self._entrance.registration(name, it.password)
        await self._in_flight.all_answered()
        self._in_flight.append(ref, name, body)
        await self._in_flight.all_answered()  # who typed it goes on by the answer

    async def _may_change_password(self, ref: int, _: MayChangePassword) -> None:
        await self._in_flight.all_answered()
        await self._entrance.check_change(self._member.user)
        self._put(Event(Pong(), ref=ref))

    async def _change_password(self, ref: int, it: ChangePassword) -> None:
        user = self._member.user
        self._in_flight.append(ref, user, await self._entrance.change(user, it.old, it.new))

    async def _inquire(self, ref: int, it: Inquiry) -> None:
        await self._in_flight.all_answered()  # so that the answer, a Pong as well, has all of it
        answer = await self._inquiries.answer(self._member.identity, it)
        self._put(Event(answer, ref=ref))

    async def _quit(self, _ref: int, _quit: Quit) -> None:
        await self._in_flight.all_answered()
        self.end(Goodbye(GoodbyeReason.LEFT, "bye"))

    # What the client is told.

    def _welcome(self, entry: Entry, entered: Entered) -> None:
        if self.ended:  # the connection went while its name was on the way
            self._hub.release(entry.session, entry.user, entry.client, hold=False)
            return
        self._deadlines.said_hello()
        self._phase = _OPEN
        self._flood.welcome(self._meter, entered.identity)
        self._hub.register(self._member, entered, entry)
        start = starting_point(self._entrance.hello, entered, self._archive.epoch)
        welcome = self._entrance.welcome(entry, entered, start, self._hub.presence_limit)
        self._put(Event(welcome, ref=entry.ref))
        for gap in start.gaps:
            self._put(Event(gap))
        _log.debug("welcome", session=self.id, user=entry.user, address=self._entrance.address)
        if start.live:
            self._member.live = True
        else:
            self._catching_up = asyncio.create_task(
                catch_up(start, self._member, self._hub, self._archive)
            )

    def _put(self, event: Event) -> None:
        if not self.outbox.put(self._codec.encode(event)):
            self.end(SLOW, drop=True)

    def _put_acks(self, acks: list[Acked]) -> None:
        """Queue Acks as one blob and empty the list."""
        if acks and not self.outbox.put(*self._codec.encode_acks(acks)):
            self.end(SLOW, drop=True)
        acks.clear()

    def _refuse(self, ref: int, refusal: Refusal) -> None:
        """Answer with an Error; before the session is open, that ends it."""
        self._nonces.refused = True
        asking = self._phase is _NEW and isinstance(refusal, Unauthenticated)
        if self._phase is _ENTERING or asking:
            self._refuse_entry(ref, refusal)
        elif isinstance(refusal, RateLimited) and not self._meter.tolerates():
            self._break_off(ref, refusal, GoodbyeReason.RATE_LIMITED)
        else:
            self._put(Event(_error(refusal), ref=ref))

    def _refuse_entry(self, ref: int, refusal: Refusal) -> None:
        """Ask somebody who types for the password; send everybody else away."""
        if self._entrance.may_try_again(refusal):
            self._phase = _NEW
            self._deadlines.hello(limits.PASSWORD_TIMEOUT, self._hello_missing)
            self._put(Event(_error(refusal), ref=ref))
        else:
            banned = isinstance(refusal, Banned)
            reason = GoodbyeReason.BANNED if banned else GoodbyeReason.REFUSED
            self._break_off(ref, refusal, reason)

    def _break_off(self, ref: int, refusal: Refusal, reason: GoodbyeReason) -> None:
        self.error = refusal.code  # the refusal itself would keep this session, by its traceback
        self._put(Event(_error(refusal), ref=ref))
        again = None if reason is GoodbyeReason.BANNED else refusal.retry_after
        self.end(Goodbye(reason, str(refusal), reconnect=again is not None, retry_after=again))

    def _hello_missing(self, seconds: float) -> None:
        if self._phase is _NEW:
            refusal = HelloRequired(f"you have not said who you are within {seconds:.0f} seconds")
            self._break_off(0, refusal, GoodbyeReason.PROTOCOL_ERROR)

    def _finish(self, last: bytes = b"") -> None:
        if self.ended:
            return
        self._phase = _ENDED
        self._member.live = False
        self._in_flight.close()
        self._deadlines.cancel()
        if self._catching_up is not None:
            self._catching_up.cancel()
        self.outbox.close(last)
        if self.on_end is not None:
            self.on_end()


_BEFORE_HELLO = frozenset((Hello, Quit, MaySignUp, SignUp))


def _error(refusal: Refusal) -> Error:
    return Error(refusal.code, str(refusal), refusal.retry_after)


_BEGIN: dict[type, Callable[[Session, int, Any], Awaitable[None] | None]] = {
    Hello: Session._enter,  # noqa: SLF001
    Send: Session._send,  # noqa: SLF001
    **dict.fromkeys(CHECKS, Session._order),  # noqa: SLF001
    **dict.fromkeys(INQUIRIES, Session._inquire),  # noqa: SLF001
    MaySignUp: Session._may_sign_up,  # noqa: SLF001
    SignUp: Session._sign_up,  # noqa: SLF001
    MayChangePassword: Session._may_change_password,  # noqa: SLF001
    ChangePassword: Session._change_password,  # noqa: SLF001
    Quit: Session._quit,  # noqa: SLF001
}
