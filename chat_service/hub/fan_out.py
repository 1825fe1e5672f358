"""One applied batch, on its way to those whom it concerns.

The events of a batch are gathered in one *run* a topic. What a session is to see of a run is a
*window* of it: all of it for most, less for those who came or went in the middle of the batch.
Sessions with the same windows and the same encoding share the same bytes, which are made once.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Hashable, KeysView, Mapping, Sequence, Set
from heapq import merge
from operator import attrgetter
from typing import Final, NamedTuple

from chat_service.core.outcome import Durable, Topic
from chat_service.hub.outbox import Outbox
from chat_service.hub.registry import Registry, Subscriber

BLOB_BYTES: Final = 256 * 1024
"""The most bytes of stored events in one shared blob: a reader gets no larger frame of them."""

_by_seq = attrgetter("seq")
_is_private = attrgetter("private")


class Window(NamedTuple):
    """The part of a topic's run that a session is to see."""

    topic: Topic
    start: int
    stop: int
    private: bool
    """Whether it is a conversation's."""


class _Share(NamedTuple):
    """What a session gets: blobs, and the number of events in each (the last may have fewer)."""

    blobs: list[bytes]
    events: int


class FanOut:
    """Gathers a batch event by event, then delivers it."""

    def __init__(self, registry: Registry, rooms: Mapping[str, Set[Subscriber]]) -> None:
        self._registry = registry
        self._rooms = rooms
        self._runs: defaultdict[Topic, list[Durable]] = defaultdict(list)
        self._windows: dict[Subscriber, tuple[Window, ...]] = {}
        self._since: dict[Subscriber, int] = {}
        self._joined: dict[tuple[Subscriber, Topic], int] = {}
        self._own: dict[Subscriber, set[int]] = {}

    def add(self, event: Durable, author: Subscriber | None) -> None:
        """Take the next event; `author` is the session that caused it, if it is one of ours."""
        self._runs[event.topic].append(event)
        if author is not None and not author.codec.echoes and isinstance(event.topic, str):
            self._own.setdefault(author, set()).add(event.seq)

    def entered(self, subscriber: Subscriber, seq: int) -> None:
        """Let a session see only what comes behind a seq."""
        self._since[subscriber] = seq

    def joined(self, subscriber: Subscriber, room: str, seq: int) -> None:
        """Let a session see of a room what comes from a seq on."""
        self._joined[subscriber, room] = seq - 1

    def left(self, subscriber: Subscriber, room: str) -> None:
        """Let a session see of a room what has been gathered so far."""
        self._open(self._window(subscriber, room, self._runs.get(room, ())), subscriber)
        self._joined.pop((subscriber, room), None)

    def deliver(self) -> list[Subscriber]:
        """Put every session's share in its outbox; returns those whose outbox was full.

        The outboxes are not woken yet.
        """
        audiences = [(self._audience(topic), topic, run) for topic, run in self._runs.items()]
        for audience, topic, run in sorted(audiences, key=_size):
            whole = (_whole(topic, run),)
            for subscriber in audience:
                if not subscriber.live:
                    continue
                if self._since or self._joined:
                    self._open(self._window(subscriber, topic, run), subscriber)
                elif subscriber in self._windows:
                    self._windows[subscriber] += whole
                else:
                    self._windows[subscriber] = whole  # shared by all whom just this concerns
        shared: dict[Hashable, _Share] = {}
        return [
            subscriber
            for subscriber, windows in self._windows.items()
            if not _put(subscriber.outbox, self._share(subscriber, windows, shared))
        ]

    @property
    def touched(self) -> KeysView[Subscriber]:
        """The sessions that got something, those of small audiences first."""
        return self._windows.keys()

    def _audience(self, topic: Topic) -> Collection[Subscriber]:
        if isinstance(topic, str):
            return self._rooms.get(topic, ())
        return {s for identity in topic for s in self._registry.of_identity(identity)}

    def _window(self, subscriber: Subscriber, topic: Topic, run: Sequence[Durable]) -> Window:
        """Return what a session is to see of a run: what came after it did."""
        behind = self._since.get(subscriber, 0)
        behind = max(behind, self._joined.get((subscriber, topic), 0))
        return _whole(topic, run)._replace(start=bisect_right(run, behind, key=_by_seq))

    def _open(self, window: Window, subscriber: Subscriber) -> None:
        if window.start < window.stop:
            self._windows[subscriber] = (*self._windows.get(subscriber, ()), window)

    def _share(
        self, subscriber: Subscriber, windows: tuple[Window, ...], shared: dict[Hashable, _Share]
    ) -> _Share:
        own = self._own.get(subscriber) if self._own else None
        if own is not None:
            seen = [event for event in self._events(windows) if event.seq not in own]
            return _encode(subscriber, seen)
        private = any(map(_is_private, windows))
        key = (subscriber.codec.sharing(private=private), windows)
        share = shared.get(key)
        if share is None:
            share = shared[key] = _encode(subscriber, self._events(windows))
        return share

    def _events(self, windows: Sequence[Window]) -> Sequence[Durable]:
        parts = [self._runs[topic][start:stop] for topic, start, stop, _ in windows]
        return parts[0] if len(parts) == 1 else list(merge(*parts, key=_by_seq))


def _size(gathered: tuple[Collection[Subscriber], Topic, list[Durable]]) -> int:
    return len(gathered[0])


def _whole(topic: Topic, run: Sequence[Durable]) -> Window:
    return Window(topic, 0, len(run), not isinstance(topic, str))


def _put(outbox: Outbox, share: _Share) -> bool:
    for blob in share.blobs:  # noqa: SIM110  (all() with a generator costs four times as much)
        if not outbox.put(blob, share.events):
            return False
    return True


def _encode(subscriber: Subscriber, events: Sequence[Durable]) -> _Share:
    if not events:
        return _Share([], 0)
    largest = max(len(event.frame) for event in events)
    per_blob = max(1, BLOB_BYTES // largest)
    blobs = [
        subscriber.codec.join(events[i : i + per_blob]) for i in range(0, len(events), per_blob)
    ]
    return _Share([blob for blob in blobs if blob], min(per_blob, len(events)))
