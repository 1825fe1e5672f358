from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Signal(_message.Message):
    __slots__ = ("heartbeat", "departure")
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    DEPARTURE_FIELD_NUMBER: _ClassVar[int]
    heartbeat: Heartbeat
    departure: Departure
    def __init__(self, heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., departure: _Optional[_Union[Departure, _Mapping]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("instance", "name", "version", "position", "digest", "sessions")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    instance: str
    name: str
    version: str
    position: int
    digest: bytes
    sessions: int
    def __init__(self, instance: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., position: _Optional[int] = ..., digest: _Optional[bytes] = ..., sessions: _Optional[int] = ...) -> None: ...

class Departure(_message.Message):
    __slots__ = ("instance",)
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    instance: str
    def __init__(self, instance: _Optional[str] = ...) -> None: ...
