from chat.v1 import moderation_pb2 as _moderation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Record(_message.Message):
    __slots__ = ("publisher", "number", "needs", "entries")
    PUBLISHER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    publisher: str
    number: int
    needs: int
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    def __init__(self, publisher: _Optional[str] = ..., number: _Optional[int] = ..., needs: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("session", "ref", "user", "client", "at", "enter", "exit", "send", "join", "leave", "moderate", "register", "grant", "revoke", "set_password", "update_account", "delete_account", "end_sessions", "ban_subject", "unban_subject", "announce", "trim")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ENTER_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    SEND_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    LEAVE_FIELD_NUMBER: _ClassVar[int]
    MODERATE_FIELD_NUMBER: _ClassVar[int]
    REGISTER_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    REVOKE_FIELD_NUMBER: _ClassVar[int]
    SET_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    UPDATE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    DELETE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    END_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    BAN_SUBJECT_FIELD_NUMBER: _ClassVar[int]
    UNBAN_SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ANNOUNCE_FIELD_NUMBER: _ClassVar[int]
    TRIM_FIELD_NUMBER: _ClassVar[int]
    session: str
    ref: int
    user: str
    client: bytes
    at: int
    enter: Enter
    exit: Exit
    send: Send
    join: Join
    leave: Leave
    moderate: Moderate
    register: Register
    grant: Grant
    revoke: Revoke
    set_password: SetPassword
    update_account: UpdateAccount
    delete_account: DeleteAccount
    end_sessions: EndSessions
    ban_subject: BanSubject
    unban_subject: UnbanSubject
    announce: Announce
    trim: Trim
    def __init__(self, session: _Optional[str] = ..., ref: _Optional[int] = ..., user: _Optional[str] = ..., client: _Optional[bytes] = ..., at: _Optional[int] = ..., enter: _Optional[_Union[Enter, _Mapping]] = ..., exit: _Optional[_Union[Exit, _Mapping]] = ..., send: _Optional[_Union[Send, _Mapping]] = ..., join: _Optional[_Union[Join, _Mapping]] = ..., leave: _Optional[_Union[Leave, _Mapping]] = ..., moderate: _Optional[_Union[Moderate, _Mapping]] = ..., register: _Optional[_Union[Register, _Mapping]] = ..., grant: _Optional[_Union[Grant, _Mapping]] = ..., revoke: _Optional[_Union[Revoke, _Mapping]] = ..., set_password: _Optional[_Union[SetPassword, _Mapping]] = ..., update_account: _Optional[_Union[UpdateAccount, _Mapping]] = ..., delete_account: _Optional[_Union[DeleteAccount, _Mapping]] = ..., end_sessions: _Optional[_Union[EndSessions, _Mapping]] = ..., ban_subject: _Optional[_Union[BanSubject, _Mapping]] = ..., unban_subject: _Optional[_Union[UnbanSubject, _Mapping]] = ..., announce: _Optional[_Union[Announce, _Mapping]] = ..., trim: _Optional[_Union[Trim, _Mapping]] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("password_generation", "token_digest", "vouched")
    PASSWORD_GENERATION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VOUCHED_FIELD_NUMBER: _ClassVar[int]
    password_generation: int
    token_digest: bytes
    vouched: Vouched
    def __init__(self, password_generation: _Optional[int] = ..., token_digest: _Optional[bytes] = ..., vouched: _Optional[_Union[Vouched, _Mapping]] = ...) -> None: ...

class Vouched(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Token(_message.Message):
    __slots__ = ("digest", "expires", "label")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    expires: int
    label: str
    def __init__(self, digest: _Optional[bytes] = ..., expires: _Optional[int] = ..., label: _Optional[str] = ...) -> None: ...

class Enter(_message.Message):
    __slots__ = ("transient", "resume", "proof", "token", "skeleton", "address")
    TRANSIENT_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SKELETON_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    transient: bool
    resume: int
    proof: Proof
    token: bytes
    skeleton: str
    address: str
    def __init__(self, transient: _Optional[bool] = ..., resume: _Optional[int] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., token: _Optional[bytes] = ..., skeleton: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class Exit(_message.Message):
    __slots__ = ("hold",)
    HOLD_FIELD_NUMBER: _ClassVar[int]
    hold: bool
    def __init__(self, hold: _Optional[bool] = ...) -> None: ...

class Send(_message.Message):
    __slots__ = ("to", "text", "nonce", "reply_to", "since")
    TO_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    to: str
    text: str
    nonce: int
    reply_to: int
    since: int
    def __init__(self, to: _Optional[str] = ..., text: _Optional[str] = ..., nonce: _Optional[int] = ..., reply_to: _Optional[int] = ..., since: _Optional[int] = ...) -> None: ...

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
    duration: float
    def __init__(self, room: _Optional[str] = ..., action: _Optional[_Union[_moderation_pb2.ModerationAction, str]] = ..., user: _Optional[str] = ..., reason: _Optional[str] = ..., duration: _Optional[float] = ...) -> None: ...

class Register(_message.Message):
    __slots__ = ("hash", "skeleton", "token", "proof", "admin", "by", "address")
    HASH_FIELD_NUMBER: _ClassVar[int]
    SKELETON_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    ADMIN_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    hash: str
    skeleton: str
    token: Token
    proof: Proof
    admin: bool
    by: str
    address: str
    def __init__(self, hash: _Optional[str] = ..., skeleton: _Optional[str] = ..., token: _Optional[_Union[Token, _Mapping]] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., admin: _Optional[bool] = ..., by: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("token", "proof", "address")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    token: Token
    proof: Proof
    address: str
    def __init__(self, token: _Optional[_Union[Token, _Mapping]] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., address: _Optional[str] = ...) -> None: ...

class Revoke(_message.Message):
    __slots__ = ("id", "proof")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    id: str
    proof: Proof
    def __init__(self, id: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ...) -> None: ...

class SetPassword(_message.Message):
    __slots__ = ("hash", "proof", "keep")
    HASH_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    hash: str
    proof: Proof
    keep: bytes
    def __init__(self, hash: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., keep: _Optional[bytes] = ...) -> None: ...

class UpdateAccount(_message.Message):
    __slots__ = ("user", "proof", "hash", "admin")
    USER_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    ADMIN_FIELD_NUMBER: _ClassVar[int]
    user: str
    proof: Proof
    hash: str
    admin: bool
    def __init__(self, user: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., hash: _Optional[str] = ..., admin: _Optional[bool] = ...) -> None: ...

class DeleteAccount(_message.Message):
    __slots__ = ("user", "proof")
    USER_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    user: str
    proof: Proof
    def __init__(self, user: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ...) -> None: ...

class EndSessions(_message.Message):
    __slots__ = ("user", "proof", "session", "reason")
    USER_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    user: str
    proof: Proof
    session: str
    reason: str
    def __init__(self, user: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., session: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class BanSubject(_message.Message):
    __slots__ = ("subject", "proof", "reason", "duration")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    subject: str
    proof: Proof
    reason: str
    duration: float
    def __init__(self, subject: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., reason: _Optional[str] = ..., duration: _Optional[float] = ...) -> None: ...

class UnbanSubject(_message.Message):
    __slots__ = ("subject", "proof")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    subject: str
    proof: Proof
    def __init__(self, subject: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ...) -> None: ...

class Announce(_message.Message):
    __slots__ = ("text", "proof")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    text: str
    proof: Proof
    def __init__(self, text: _Optional[str] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ...) -> None: ...

class Trim(_message.Message):
    __slots__ = ("topic", "upto")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    topic: str
    upto: int
    def __init__(self, topic: _Optional[str] = ..., upto: _Optional[int] = ...) -> None: ...
