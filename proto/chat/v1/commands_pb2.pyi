import datetime

from chat.v1 import cursor_pb2 as _cursor_pb2
from chat.v1 import moderation_pb2 as _moderation_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Command(_message.Message):
    __slots__ = ("ref", "hello", "send", "join", "leave", "who", "history", "ping", "moderate", "conversations")
    REF_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    SEND_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    LEAVE_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    MODERATE_FIELD_NUMBER: _ClassVar[int]
    CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    ref: int
    hello: Hello
    send: Send
    join: Join
    leave: Leave
    who: Who
    history: History
    ping: Ping
    moderate: Moderate
    conversations: Conversations
    def __init__(self, ref: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., send: _Optional[_Union[Send, _Mapping]] = ..., join: _Optional[_Union[Join, _Mapping]] = ..., leave: _Optional[_Union[Leave, _Mapping]] = ..., who: _Optional[_Union[Who, _Mapping]] = ..., history: _Optional[_Union[History, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., moderate: _Optional[_Union[Moderate, _Mapping]] = ..., conversations: _Optional[_Union[Conversations, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("user", "client_id", "resume", "backlog", "password", "token")
    USER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    user: str
    client_id: str
    resume: _cursor_pb2.Cursor
    backlog: int
    password: str
    token: str
    def __init__(self, user: _Optional[str] = ..., client_id: _Optional[str] = ..., resume: _Optional[_Union[_cursor_pb2.Cursor, _Mapping]] = ..., backlog: _Optional[int] = ..., password: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class Send(_message.Message):
    __slots__ = ("to", "text", "nonce", "reply_to")
    TO_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    to: str
    text: str
    nonce: int
    reply_to: int
    def __init__(self, to: _Optional[str] = ..., text: _Optional[str] = ..., nonce: _Optional[int] = ..., reply_to: _Optional[int] = ...) -> None: ...

class Join(_message.Message):
    __slots__ = ("room",)
    ROOM_FIELD_NUMBER: _ClassVar[int]
    room: str
    def __init__(self, room: _Optional[str] = ...) -> None: ...

class Leave(_message.Message):
    __slots__ = ("room",)
    ROOM_FIELD_NUMBER: _ClassVar[int]
    room: str
    def __init__(self, room: _Optional[str] = ...) -> None: ...

class Who(_message.Message):
    __slots__ = ("to", "after")
    TO_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    to: str
    after: str
    def __init__(self, to: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class History(_message.Message):
    __slots__ = ("to", "before_seq", "limit")
    TO_FIELD_NUMBER: _ClassVar[int]
    BEFORE_SEQ_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    to: str
    before_seq: int
    limit: int
    def __init__(self, to: _Optional[str] = ..., before_seq: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Conversations(_message.Message):
    __slots__ = ("before_seq", "limit")
    BEFORE_SEQ_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    before_seq: int
    limit: int
    def __init__(self, before_seq: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Moderate(_message.Message):
    __slots__ = ("room", "action", "user", "reason", "duration")
    ROOM_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    room: str
    action: _moderation_pb2.ModerationAction
    user: str
    reason: str
    duration: _duration_pb2.Duration
    def __init__(self, room: _Optional[str] = ..., action: _Optional[_Union[_moderation_pb2.ModerationAction, str]] = ..., user: _Optional[str] = ..., reason: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
