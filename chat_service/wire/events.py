"""Events in the contract's own encoding, as they are stored, shared and sent.

Everything that leaves here is an encoded `ServerFrame`, mostly of one event. Frames laid end to
end are the frame with all their events (https://protobuf.dev/programming-guides/encoding/#optional),
so what is stored and shared is joined and never encoded again.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from chat.v1 import chat_pb2, events_pb2, moderation_pb2
from chat_service.core import events, limits
from chat_service.core.events import Event, EventBody
from chat_service.core.moderation import ModerationAction, Role
from chat_service.wire.port import Acked
from chat_service.wire.times import duration, micros_of, timestamp

_EVENTS_TAG: Final = b"\x0a"  # field 1, length-delimited: ServerFrame.events, HistoryPage.events
_HISTORY_TAG: Final = b"\x5a"  # field 11, length-delimited: Event.history
_REUSED: Final = 64
"""How often a protobuf message is filled before it makes way for a new one."""
_EMPTY: Final = events.Message("", "", 0, "", 0)
"""What a protobuf message says in which nothing was set."""


def encode_event(event: Event) -> bytes:
    """Encode an event as a `ServerFrame` of its own."""
    if isinstance(event.body, events.HistoryPage):
        return _history(event.ref, event.body)
    frame = chat_pb2.ServerFrame()
    out = frame.events.add()
    if event.ref:
        out.ref = event.ref
    if event.seq:
        out.seq = event.seq
    kind, fill = _FILLERS[type(event.body)]
    fill(getattr(out, kind), event.body)
    return frame.SerializeToString()


# What comes often is not made anew each time: one protobuf message is filled again and again, at
# half the price, and what is the same as the last time is left as it is.


def encode_acks(acks: Sequence[Acked]) -> bytes:
    """Encode Acks as one `ServerFrame`."""
    frame = chat_pb2.ServerFrame()
    event = frame.events.add()
    out = event.ack
    sent_at = 0
    encoded: list[bytes] = []
    for ref, ack in acks:
        event.ref = ref
        out.seq = ack.seq
        out.number = ack.number
        out.nonce = ack.nonce
        out.duplicate = ack.duplicate
        if ack.sent_at != sent_at:
            sent_at = ack.sent_at
            _fill_timestamp(out, sent_at)
        encoded.append(frame.SerializeToString())
    return b"".join(encoded)


class MessageEncoder:
    """Encodes messages one by one, each as `encode_event` would. It is for one thread."""

    def __init__(self) -> None:
        self._last = _EMPTY
        self._renew()

    def encode(self, message: events.Message, seq: int) -> bytes:
        """Encode a message as a `ServerFrame` of its own."""
        if self._used == _REUSED:
            self._renew()
        self._used += 1
        self._event.seq = seq
        out, last = self._message, self._last
        if message.to != last.to:
            out.to = message.to
        if message.sender != last.sender:
            out.sender = message.sender
        if message.sent_at != last.sent_at:
            _fill_timestamp(out, message.sent_at)
        if message.reply_to != last.reply_to:
            out.reply_to = message.reply_to
        out.number = message.number
        out.text = message.text
        self._last = message
        return self._frame.SerializeToString()

    def _renew(self) -> None:
        # What was set before is kept in memory until the whole message goes.
        self._used = 0
        self._frame = chat_pb2.ServerFrame()
        self._event = self._frame.events.add()
        self._message = self._event.message
        self._last = _EMPTY


def decode_frame(frame: bytes) -> list[Event]:
    """Decode a stored `ServerFrame`; it holds durable events alone."""
    stored = chat_pb2.ServerFrame.FromString(frame).events
    return [Event(_DURABLES[it.WhichOneof("kind") or ""](it), it.seq) for it in stored]


def _stored_message(it: events_pb2.Event) -> events.Message:
    message = it.message
    return events.Message(
        message.to,
        message.sender,
        message.number,
        message.text,
        micros_of(message.sent_at),
        message.reply_to,
    )


def _stored_moderated(it: events_pb2.Event) -> events.Moderated:
    moderated = it.moderated
    return events.Moderated(
        moderated.room,
        ModerationAction(moderated.action),
        moderated.user,
        moderated.by,
        moderated.reason,
        micros_of(moderated.until),
    )


_DURABLES: dict[str, Callable[[events_pb2.Event], events.DurableBody]] = {
    "message": _stored_message,
    "joined": lambda it: events.Joined(it.joined.room, it.joined.user),
    "left": lambda it: events.Left(it.left.room, it.left.user),
    "moderated": _stored_moderated,
    "announcement": lambda it: events.Announcement(
        it.announcement.text, it.announcement.by, micros_of(it.announcement.sent_at)
    ),
}


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _history(ref: int, it: events.HistoryPage) -> bytes:
    # Stored frames are fields 1 of a HistoryPage as much as of a ServerFrame: they go out as they
    # are, around them only what a page adds.
    head = events_pb2.Event(ref=ref).SerializeToString()
    tail = events_pb2.HistoryPage(to=it.to, more=it.more).SerializeToString()
    size = sum(map(len, it.frames)) + len(tail)
    page = b"".join((head, _HISTORY_TAG, _varint(size), *it.frames, tail))
    return _EVENTS_TAG + _varint(len(page)) + page


# Fields are set where they are, one by one: messages that are made of arguments are built in
# Python and then copied, at thrice the price.


def _fill_ack(out: events_pb2.Ack, it: events.Ack) -> None:
    out.seq = it.seq
    out.number = it.number
    out.nonce = it.nonce
    if it.duplicate:
        out.duplicate = True
    _fill_timestamp(out, it.sent_at)


def _fill_message(out: events_pb2.Message, it: events.Message) -> None:
    out.to = it.to
    out.sender = it.sender
    out.number = it.number
    out.text = it.text
    out.reply_to = it.reply_to
    _fill_timestamp(out, it.sent_at)


def _fill_timestamp(out: events_pb2.Ack | events_pb2.Message, micros: int) -> None:
    if micros:
        timestamp = out.sent_at
        timestamp.seconds, rest = divmod(micros, 1_000_000)
        timestamp.nanos = rest * 1000
    else:
        out.ClearField("sent_at")


def _fill_error(out: events_pb2.Error, it: events.Error) -> None:
    out.code = cast("events_pb2.ErrorCode", it.code.value)
    out.message = it.message
    if it.retry_after is not None:
        out.retry_after.CopyFrom(duration(it.retry_after))


def _fill_welcome(out: events_pb2.Welcome, it: events.Welcome) -> None:
    out.user = it.user
    out.session_id = it.session_id
    out.cursor.epoch = it.cursor.epoch
    out.cursor.seq = it.cursor.seq
    out.resumed = it.resumed
    out.last_nonce = it.last_nonce
    out.rooms.extend(it.rooms)
    out.limits.max_text_bytes = limits.MAX_TEXT_BYTES
    out.limits.max_frame_bytes = limits.MAX_FRAME_BYTES
    out.limits.max_backlog = limits.MAX_BACKLOG
    out.limits.max_history = limits.MAX_HISTORY
    out.limits.max_roster = limits.MAX_ROSTER
    out.limits.max_rooms = limits.MAX_ROOMS
    out.limits.max_conversations = limits.MAX_CONVERSATIONS
    out.limits.presence_limit = it.presence_limit
    out.version = it.version
    out.token = it.token


def _fill_coming(out: events_pb2.Joined | events_pb2.Left, it: events.Joined | events.Left) -> None:
    out.room = it.room
    out.user = it.user


def _fill_presence(out: events_pb2.Presence, it: events.Presence) -> None:
    out.user = it.user
    out.online = it.online


def _fill_roster(out: events_pb2.Roster, it: events.Roster) -> None:
    out.to = it.to
    out.members.extend(
        [events_pb2.Member(user=m.user, online=m.online, role=_role(m.role)) for m in it.members]
    )
    out.more = it.more


def _role(role: Role | None) -> moderation_pb2.Role:
    return cast("moderation_pb2.Role", 0 if role is None else role.value)


def _fill_conversations(out: events_pb2.ConversationsPage, it: events.ConversationsPage) -> None:
    out.conversations.extend(
        [
            events_pb2.Conversation(to=c.to, last_seq=c.last_seq, last_number=c.last_number)
            for c in it.conversations
        ]
    )
    out.more = it.more


def _fill_moderated(out: events_pb2.Moderated, it: events.Moderated) -> None:
    out.room = it.room
    out.action = cast("moderation_pb2.ModerationAction", it.action.value)
    out.user = it.user
    out.by = it.by
    out.reason = it.reason
    if it.until:
        out.until.CopyFrom(timestamp(it.until))


def _fill_announcement(out: events_pb2.Announcement, it: events.Announcement) -> None:
    out.text = it.text
    out.by = it.by
    out.sent_at.CopyFrom(timestamp(it.sent_at))


def _fill_gap(out: events_pb2.Gap, it: events.Gap) -> None:
    out.to = it.to
    out.after_seq = it.after_seq
    out.before_seq = it.before_seq
    out.reason = cast("events_pb2.GapReason", it.reason.value)  # the contract's own numbers


def _fill_goodbye(out: events_pb2.Goodbye, it: events.Goodbye) -> None:
    out.reason = cast("events_pb2.GoodbyeReason", it.reason.value)
    out.message = it.message
    out.reconnect = it.reconnect
    if it.retry_after is not None:
        out.retry_after.CopyFrom(duration(it.retry_after))


def _fill_pong(out: events_pb2.Pong, _it: events.Pong) -> None:
    out.SetInParent()  # there is nothing to set, but that it is there


_FILLERS: dict[type[EventBody], tuple[str, Callable[[Any, Any], None]]] = {
    events.Welcome: ("welcome", _fill_welcome),
    events.Ack: ("ack", _fill_ack),
    events.Error: ("error", _fill_error),
    events.Message: ("message", _fill_message),
    events.Joined: ("joined", _fill_coming),
    events.Left: ("left", _fill_coming),
    events.Presence: ("presence", _fill_presence),
    events.Roster: ("roster", _fill_roster),
    events.ConversationsPage: ("conversations", _fill_conversations),
    events.Gap: ("gap", _fill_gap),
    events.Goodbye: ("goodbye", _fill_goodbye),
    events.Pong: ("pong", _fill_pong),
    events.Moderated: ("moderated", _fill_moderated),
    events.Announcement: ("announcement", _fill_announcement),
}
