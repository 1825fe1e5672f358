import datetime

from chat.v1 import cursor_pb2 as _cursor_pb2
from chat.v1 import moderation_pb2 as _moderation_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CODE_UNSPECIFIED: _ClassVar[ErrorCode]
    ERROR_CODE_MALFORMED: _ClassVar[ErrorCode]
    ERROR_CODE_INVALID_COMMAND: _ClassVar[ErrorCode]
    ERROR_CODE_HELLO_REQUIRED: _ClassVar[ErrorCode]
    ERROR_CODE_INVALID_ADDRESS: _ClassVar[ErrorCode]
    ERROR_CODE_INVALID_TEXT: _ClassVar[ErrorCode]
    ERROR_CODE_TOO_LARGE: _ClassVar[ErrorCode]
    ERROR_CODE_NAME_TAKEN: _ClassVar[ErrorCode]
    ERROR_CODE_NO_SUCH_USER: _ClassVar[ErrorCode]
    ERROR_CODE_NOT_A_MEMBER: _ClassVar[ErrorCode]
    ERROR_CODE_LIMIT_REACHED: _ClassVar[ErrorCode]
    ERROR_CODE_RATE_LIMITED: _ClassVar[ErrorCode]
    ERROR_CODE_UNAVAILABLE: _ClassVar[ErrorCode]
    ERROR_CODE_INTERNAL: _ClassVar[ErrorCode]
    ERROR_CODE_UNAUTHENTICATED: _ClassVar[ErrorCode]
    ERROR_CODE_PERMISSION_DENIED: _ClassVar[ErrorCode]
    ERROR_CODE_BANNED: _ClassVar[ErrorCode]

class GapReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GAP_REASON_UNSPECIFIED: _ClassVar[GapReason]
    GAP_REASON_EPOCH_CHANGED: _ClassVar[GapReason]
    GAP_REASON_TRIMMED: _ClassVar[GapReason]

class GoodbyeReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GOODBYE_REASON_UNSPECIFIED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_SHUTDOWN: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_SLOW_CONSUMER: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_SUPERSEDED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_REFUSED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_PROTOCOL_ERROR: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_RATE_LIMITED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_INTERNAL: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_LEFT: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_REVOKED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_ENDED: _ClassVar[GoodbyeReason]
    GOODBYE_REASON_BANNED: _ClassVar[GoodbyeReason]
ERROR_CODE_UNSPECIFIED: ErrorCode
ERROR_CODE_MALFORMED: ErrorCode
ERROR_CODE_INVALID_COMMAND: ErrorCode
ERROR_CODE_HELLO_REQUIRED: ErrorCode
ERROR_CODE_INVALID_ADDRESS: ErrorCode
ERROR_CODE_INVALID_TEXT: ErrorCode
ERROR_CODE_TOO_LARGE: ErrorCode
ERROR_CODE_NAME_TAKEN: ErrorCode
ERROR_CODE_NO_SUCH_USER: ErrorCode
ERROR_CODE_NOT_A_MEMBER: ErrorCode
ERROR_CODE_LIMIT_REACHED: ErrorCode
ERROR_CODE_RATE_LIMITED: ErrorCode
ERROR_CODE_UNAVAILABLE: ErrorCode
ERROR_CODE_INTERNAL: ErrorCode
ERROR_CODE_UNAUTHENTICATED: ErrorCode
ERROR_CODE_PERMISSION_DENIED: ErrorCode
ERROR_CODE_BANNED: ErrorCode
GAP_REASON_UNSPECIFIED: GapReason
GAP_REASON_EPOCH_CHANGED: GapReason
GAP_REASON_TRIMMED: GapReason
GOODBYE_REASON_UNSPECIFIED: GoodbyeReason
GOODBYE_REASON_SHUTDOWN: GoodbyeReason
GOODBYE_REASON_SLOW_CONSUMER: GoodbyeReason
GOODBYE_REASON_SUPERSEDED: GoodbyeReason
GOODBYE_REASON_REFUSED: GoodbyeReason
GOODBYE_REASON_PROTOCOL_ERROR: GoodbyeReason
GOODBYE_REASON_RATE_LIMITED: GoodbyeReason
GOODBYE_REASON_INTERNAL: GoodbyeReason
GOODBYE_REASON_LEFT: GoodbyeReason
GOODBYE_REASON_REVOKED: GoodbyeReason
GOODBYE_REASON_ENDED: GoodbyeReason
GOODBYE_REASON_BANNED: GoodbyeReason

class Event(_message.Message):
    __slots__ = ("ref", "seq", "welcome", "ack", "error", "message", "joined", "left", "presence", "roster", "history", "gap", "goodbye", "pong", "moderated", "announcement", "conversations")
    REF_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    JOINED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_FIELD_NUMBER: _ClassVar[int]
    ROSTER_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    MODERATED_FIELD_NUMBER: _ClassVar[int]
    ANNOUNCEMENT_FIELD_NUMBER: _ClassVar[int]
    CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    ref: int
    seq: int
    welcome: Welcome
    ack: Ack
    error: Error
    message: Message
    joined: Joined
    left: Left
    presence: Presence
    roster: Roster
    history: HistoryPage
    gap: Gap
    goodbye: Goodbye
    pong: Pong
    moderated: Moderated
    announcement: Announcement
    conversations: ConversationsPage
    def __init__(self, ref: _Optional[int] = ..., seq: _Optional[int] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., message: _Optional[_Union[Message, _Mapping]] = ..., joined: _Optional[_Union[Joined, _Mapping]] = ..., left: _Optional[_Union[Left, _Mapping]] = ..., presence: _Optional[_Union[Presence, _Mapping]] = ..., roster: _Optional[_Union[Roster, _Mapping]] = ..., history: _Optional[_Union[HistoryPage, _Mapping]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., moderated: _Optional[_Union[Moderated, _Mapping]] = ..., announcement: _Optional[_Union[Announcement, _Mapping]] = ..., conversations: _Optional[_Union[ConversationsPage, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("user", "session_id", "cursor", "resumed", "last_nonce", "rooms", "limits", "version", "token")
    USER_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    LAST_NONCE_FIELD_NUMBER: _ClassVar[int]
    ROOMS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    user: str
    session_id: str
    cursor: _cursor_pb2.Cursor
    resumed: bool
    last_nonce: int
    rooms: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    version: str
    token: str
    def __init__(self, user: _Optional[str] = ..., session_id: _Optional[str] = ..., cursor: _Optional[_Union[_cursor_pb2.Cursor, _Mapping]] = ..., resumed: _Optional[bool] = ..., last_nonce: _Optional[int] = ..., rooms: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., version: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_text_bytes", "max_frame_bytes", "max_backlog", "max_history", "max_roster", "max_rooms", "presence_limit", "max_conversations")
    MAX_TEXT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BACKLOG_FIELD_NUMBER: _ClassVar[int]
    MAX_HISTORY_FIELD_NUMBER: _ClassVar[int]
    MAX_ROSTER_FIELD_NUMBER: _ClassVar[int]
    MAX_ROOMS_FIELD_NUMBER: _ClassVar[int]
    PRESENCE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    MAX_CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    max_text_bytes: int
    max_frame_bytes: int
    max_backlog: int
    max_history: int
    max_roster: int
    max_rooms: int
    presence_limit: int
    max_conversations: int
    def __init__(self, max_text_bytes: _Optional[int] = ..., max_frame_bytes: _Optional[int] = ..., max_backlog: _Optional[int] = ..., max_history: _Optional[int] = ..., max_roster: _Optional[int] = ..., max_rooms: _Optional[int] = ..., presence_limit: _Optional[int] = ..., max_conversations: _Optional[int] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("seq", "number", "nonce", "duplicate", "sent_at")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    seq: int
    number: int
    nonce: int
    duplicate: bool
    sent_at: _timestamp_pb2.Timestamp
    def __init__(self, seq: _Optional[int] = ..., number: _Optional[int] = ..., nonce: _Optional[int] = ..., duplicate: _Optional[bool] = ..., sent_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "retry_after")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    code: ErrorCode
    message: str
    retry_after: _duration_pb2.Duration
    def __init__(self, code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("to", "sender", "number", "text", "sent_at", "reply_to")
    TO_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    to: str
    sender: str
    number: int
    text: str
    sent_at: _timestamp_pb2.Timestamp
    reply_to: int
    def __init__(self, to: _Optional[str] = ..., sender: _Optional[str] = ..., number: _Optional[int] = ..., text: _Optional[str] = ..., sent_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reply_to: _Optional[int] = ...) -> None: ...

class Joined(_message.Message):
    __slots__ = ("room", "user")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    room: str
    user: str
    def __init__(self, room: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class Left(_message.Message):
    __slots__ = ("room", "user")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    room: str
    user: str
    def __init__(self, room: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class Moderated(_message.Message):
    __slots__ = ("room", "action", "user", "by", "reason", "until")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    room: str
    action: _moderation_pb2.ModerationAction
    user: str
    by: str
    reason: str
    until: _timestamp_pb2.Timestamp
    def __init__(self, room: _Optional[str] = ..., action: _Optional[_Union[_moderation_pb2.ModerationAction, str]] = ..., user: _Optional[str] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Announcement(_message.Message):
    __slots__ = ("text", "by", "sent_at")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    text: str
    by: str
    sent_at: _timestamp_pb2.Timestamp
    def __init__(self, text: _Optional[str] = ..., by: _Optional[str] = ..., sent_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Presence(_message.Message):
    __slots__ = ("user", "online")
    USER_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    user: str
    online: bool
    def __init__(self, user: _Optional[str] = ..., online: _Optional[bool] = ...) -> None: ...

class Roster(_message.Message):
    __slots__ = ("to", "members", "more")
    TO_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    to: str
    members: _containers.RepeatedCompositeFieldContainer[Member]
    more: bool
    def __init__(self, to: _Optional[str] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("user", "online", "role")
    USER_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    user: str
    online: bool
    role: _moderation_pb2.Role
    def __init__(self, user: _Optional[str] = ..., online: _Optional[bool] = ..., role: _Optional[_Union[_moderation_pb2.Role, str]] = ...) -> None: ...

class HistoryPage(_message.Message):
    __slots__ = ("events", "to", "more")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    to: str
    more: bool
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., to: _Optional[str] = ..., more: _Optional[bool] = ...) -> None: ...

class ConversationsPage(_message.Message):
    __slots__ = ("conversations", "more")
    CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    conversations: _containers.RepeatedCompositeFieldContainer[Conversation]
    more: bool
    def __init__(self, conversations: _Optional[_Iterable[_Union[Conversation, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class Conversation(_message.Message):
    __slots__ = ("to", "last_seq", "last_number")
    TO_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_NUMBER_FIELD_NUMBER: _ClassVar[int]
    to: str
    last_seq: int
    last_number: int
    def __init__(self, to: _Optional[str] = ..., last_seq: _Optional[int] = ..., last_number: _Optional[int] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("to", "after_seq", "before_seq", "reason")
    TO_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    BEFORE_SEQ_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    to: str
    after_seq: int
    before_seq: int
    reason: GapReason
    def __init__(self, to: _Optional[str] = ..., after_seq: _Optional[int] = ..., before_seq: _Optional[int] = ..., reason: _Optional[_Union[GapReason, str]] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason", "message", "reconnect", "retry_after")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    reason: GoodbyeReason
    message: str
    reconnect: bool
    retry_after: _duration_pb2.Duration
    def __init__(self, reason: _Optional[_Union[GoodbyeReason, str]] = ..., message: _Optional[str] = ..., reconnect: _Optional[bool] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
