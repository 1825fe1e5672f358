"""The commands that await their reply, and the numbering that makes each send happen once.

The server drops a send whose nonce is not above the last one that it accepted. From that follows:

- A nonce is given when a send is first written, so numbers rise in the order of writing, and a
  send that was never written can take one above whatever the server has seen.
- After a reconnect, everything unanswered is written again, first and in the old order: a send
  that had arrived is acknowledged as a duplicate, one that had not happens now.
- A refused send is never written again with its nonce, since a later one may have passed it. Its
  number is skipped; another try is another send.
- Unless it was written before and the refusal is about the moment (UNAVAILABLE, RATE_LIMITED): it
  is about this copy, and an earlier one may be on its way through another node of the server. So
  it is written again after a while, until the answer is about the send itself. Until then nothing
  else is written, since what is accepted meanwhile would pass it, and it could not happen any more.

The server remembers the latest 256 nonces of a client that it refused while it accepted later
ones, and answers them with an Error when they come again. With more than those in flight one doubt
is left: the Ack as a duplicate (with seq 0) of a send whose refusal was lost.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from chat.v1 import chat_pb2, commands_pb2, events_pb2
from chat_client.errors import ChatError, CommandError, retry_after

# What a command may grow by once it is measured (its nonce, and the tag and length around it).
_HEADROOM: Final = 24
_DEFAULT_MAX_FRAME_BYTES: Final = 64 * 1024

_OF_THE_MOMENT: Final = frozenset(
    {events_pb2.ERROR_CODE_UNAVAILABLE, events_pb2.ERROR_CODE_RATE_LIMITED}
)
_AGAIN_AFTER: Final = 1.0


@dataclass(slots=True, eq=False)
class _Pending:
    command: commands_pb2.Command
    reply: asyncio.Future[events_pb2.Event]
    size: int
    is_send: bool
    times_written: int = 0
    due: bool = True
    """Whether it has to be written, for the first time or again."""


class InFlight:
    """At most `limit` commands, from the call that makes them to their reply.

    `on_due` is called when some may be written again that were held back.
    """

    def __init__(self, limit: int, on_due: Callable[[], None] = lambda: None) -> None:
        self._on_due = on_due
        self._slots = asyncio.Semaphore(limit)
        self._refs = count(1)
        self._next_nonce = 1
        self._max_frame_bytes = _DEFAULT_MAX_FRAME_BYTES
        # Insertion order is the order of the calls, and so of the nonces.
        self._by_ref: dict[int, _Pending] = {}
        self._unwritten: deque[_Pending] = deque()
        self._held: asyncio.TimerHandle | None = None
        """Until when nothing is written."""

    def __len__(self) -> int:
        return len(self._by_ref)

    @property
    def held(self) -> bool:
        """Whether what is due has to wait."""
        return self._held is not None

    async def slot(self) -> None:
        """Wait until one more command may be added, in the order of the calls."""
        await self._slots.acquire()

    def give_back(self) -> None:
        """Return a slot that will not be used."""
        self._slots.release()

    def add(self, command: commands_pb2.Command) -> asyncio.Future[events_pb2.Event]:
        """Take a command into a slot that was waited for; return the future of its reply.

        Raises CommandError (TOO_LARGE) for one that no frame can hold: the server would end the
        stream over it, and again each time it came back.
        """
        command.ref = next(self._refs)
        size = command.ByteSize() + _HEADROOM
        if size > self._max_frame_bytes:
            self._slots.release()
            raise CommandError.because(
                events_pb2.ERROR_CODE_TOO_LARGE,
                f"a command has at most {self._max_frame_bytes} bytes",
            )
        reply = asyncio.get_running_loop().create_future()
        pending = _Pending(command, reply, size, command.HasField("send"))
        self._by_ref[command.ref] = pending
        self._unwritten.append(pending)
        return reply

    def reopen(self, welcome: events_pb2.Welcome) -> None:
        """Prepare for a fresh stream: all that is unanswered has to be written (again)."""
        self._next_nonce = max(self._next_nonce, welcome.last_nonce + 1)
        self._max_frame_bytes = welcome.limits.max_frame_bytes or _DEFAULT_MAX_FRAME_BYTES
        for pending in self._by_ref.values():
            pending.due = True
        self._release()

    def next_frame(self) -> chat_pb2.ClientFrame | None:
        """Return as many commands as are due and one frame holds; None if there are none."""
        if self._held is not None:
            return None
        commands: list[commands_pb2.Command] = []
        room = self._max_frame_bytes
        while self._unwritten and (not commands or self._unwritten[0].size <= room):
            pending = self._unwritten.popleft()
            if pending.reply.done():  # the caller has gone: nobody wants it to happen (again)
                self._drop(pending)
                continue
            self._number(pending)
            commands.append(pending.command)
            room -= pending.size
        return chat_pb2.ClientFrame(commands=commands) if commands else None

    def resolve(self, event: events_pb2.Event) -> None:
        """Hand a reply to whoever waits for it."""
        pending = self._by_ref.get(event.ref)
        if pending is None:
            return
        if _is_open(pending, event):
            pending.due = True
            self._hold(retry_after(event.error) or _AGAIN_AFTER)
            return
        self._drop(pending)
        if pending.reply.done():
            return
        if error := _failure(pending, event):
            pending.reply.set_exception(error)
        else:
            pending.reply.set_result(event)

    def fail(self, error: Exception) -> None:
        """Tell everyone who waits that no reply will come."""
        for pending in list(self._by_ref.values()):
            self._drop(pending)
            if not pending.reply.done():
                pending.reply.set_exception(error)
        self._release()

    def _number(self, pending: _Pending) -> None:
        if pending.is_send and not pending.times_written:
            pending.command.send.nonce = self._next_nonce
            self._next_nonce += 1
        pending.times_written += 1
        pending.due = False

    def _hold(self, seconds: float) -> None:
        """Write nothing for so long; an earlier end is forgotten."""
        if self._held is not None:
            self._held.cancel()
        self._held = asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._release()
        self._on_due()

    def _release(self) -> None:
        """Let everything be written that is due, in the order of the calls."""
        if self._held is not None:
            self._held.cancel()
            self._held = None
        self._unwritten = deque(pending for pending in self._by_ref.values() if pending.due)

    def _drop(self, pending: _Pending) -> None:
        if self._by_ref.pop(pending.command.ref, None) is not None:
            self._slots.release()


def _is_open(pending: _Pending, event: events_pb2.Event) -> bool:
    """Tell whether an earlier copy of a send may still happen, though this one was refused."""
    written_before = pending.is_send and pending.times_written > 1
    return written_before and event.HasField("error") and event.error.code in _OF_THE_MOMENT


def _failure(pending: _Pending, event: events_pb2.Event) -> ChatError | None:
    if event.HasField("error"):
        return CommandError(event.error)
    if pending.is_send and event.ack.duplicate and pending.times_written == 1:
        # Written once and yet a repeat: the nonce was another process's, and this was not said.
        return ChatError("not sent: another process sends with this client_id")
    return None
