"""From the past to the live stream: what a session is sent before the fan-out takes over.

A session that catches up is in the rooms' lists but not *live*: the fan-out passes it over, and it
reads the same events from the state, a page at a time, each only when its outbox has room. When it
has read up to the seq that was last fanned out it goes live. Between that comparison and the next
fan-out nothing else runs, so the seam has neither hole nor repeat, however fast events come.

If retention takes what it has yet to read, it is sent away like any reader that is too slow: the
gap is told where it resumes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, ParamSpec, TypeVar

from chat_service.core.commands import Hello
from chat_service.core.errors import NotAMember, Unavailable
from chat_service.core.events import FAILED, SLOW, Event, Gap, GapReason
from chat_service.core.limits import MAX_BACKLOG
from chat_service.core.outcome import Entered
from chat_service.hub.hub import Hub
from chat_service.hub.registry import Subscriber
from chat_service.logs import get
from chat_service.state.port import Archive

P = ParamSpec("P")
T = TypeVar("T")

_log = get("session")

ROOM_WITHIN: Final = 30.0
"""Seconds in which a reader has to make room for the next page: a quarter of a MiB, as a rule."""

_MAX_GAPS = 32
"""Gaps told one by one; where there are more, one tells of everything."""


class _SlowConsumer(Exception):
    """The reader's outbox is full, or what it was to read next is gone."""


class StartingPoint(NamedTuple):
    """Where a session's stream starts: conversations behind `after`, rooms behind `rooms_after`.

    `backlog` is how many messages a room come before that, none of them above `entered`.
    """

    after: int
    rooms_after: int
    entered: int
    backlog: int = 0
    resumed: bool = False
    gaps: tuple[Gap, ...] = ()

    @property
    def live(self) -> bool:
        """Whether there is nothing to catch up with."""
        return self.after >= self.entered and not self.backlog

    def told(self, to: str, seq: int) -> bool:
        """Whether a gap has told that events of an address are gone up to a seq."""
        return any(gap.to in ("", to) and gap.before_seq > seq for gap in self.gaps)


def starting_point(hello: Hello, entered: Entered, epoch: str) -> StartingPoint:
    """Return where the stream of a session that has just entered starts."""
    resume = hello.resume
    if resume is not None and resume.epoch == epoch and resume.seq <= entered.seq:
        gaps = _gaps(entered, resume.seq)
        return StartingPoint(resume.seq, resume.seq, entered.seq, resumed=not gaps, gaps=gaps)
    backlog = min(hello.backlog, MAX_BACKLOG)
    if resume is not None:
        gap = Gap("", resume.seq, entered.seq + 1, GapReason.EPOCH_CHANGED)
        return StartingPoint(entered.seq, entered.seq, entered.seq, backlog, gaps=(gap,))
    # What was said in private while nobody was here waits for the next connection.
    after = entered.seq if entered.away_since is None else entered.away_since
    return StartingPoint(after, entered.seq, entered.seq, backlog, gaps=_gaps(entered, after))


def _gaps(entered: Entered, after: int) -> tuple[Gap, ...]:
    trimmed = entered.trimmed
    if len(trimmed) > _MAX_GAPS:
        trimmed = (("", max(seq for _to, seq in trimmed)),)
    return tuple(Gap(to, after, seq + 1, GapReason.TRIMMED) for to, seq in trimmed)


async def catch_up(start: StartingPoint, member: Subscriber, hub: Hub, archive: Archive) -> None:
    """Send a session what it has missed and make it live, or end it."""
    try:
        await _catch_up(start, member, hub, archive)
    except _SlowConsumer:
        member.owner.end(SLOW, drop=True)
    except Exception:
        _log.exception("catching up failed", session=member.id)
        member.owner.end(FAILED)


async def _catch_up(start: StartingPoint, member: Subscriber, hub: Hub, archive: Archive) -> None:
    if start.backlog:
        await _send_backlog(start, member, archive)
    position = start.after
    while position < hub.seq:
        await _room(member)
        rooms_after = max(position, start.rooms_after)
        page = await _once_available(
            archive.missed, member.identity, after=position, rooms_after=rooms_after, upto=hub.seq
        )
        if not all(start.told(to, seq) for to, seq in page.trimmed):
            raise _SlowConsumer
        _put(member, member.codec.recall(page.frames), len(page.frames))
        position = page.seq
    member.live = True


async def _send_backlog(start: StartingPoint, member: Subscriber, archive: Archive) -> None:
    for room in sorted(member.rooms):
        await _room(member)
        try:
            page = await _once_available(
                archive.history,
                member.identity,
                room,
                before_seq=start.entered + 1,
                limit=start.backlog,
            )
        except NotAMember:
            continue  # taken out of it meanwhile, or gone from it by another session
        if page.frames:
            _put(member, member.codec.encode(Event(page)), 1)


async def _room(member: Subscriber) -> None:
    """Wait for room in a session's outbox; raises _SlowConsumer if it reads too little."""
    try:
        async with asyncio.timeout(ROOM_WITHIN):
            await member.outbox.room()
    except TimeoutError:
        raise _SlowConsumer from None


async def _once_available(ask: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what the archive answers, as soon as its storage does."""
    while True:
        try:
            return await ask(*args, **kwargs)
        except Unavailable as failure:
            await asyncio.sleep(failure.retry_after or 1.0)


def _put(member: Subscriber, blob: bytes, events: int) -> None:
    if not member.outbox.put(blob, events):
        raise _SlowConsumer
    member.outbox.wake()
