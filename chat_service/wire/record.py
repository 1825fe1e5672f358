"""The encoding of the log's records, which other nodes and later versions read.

Entries are encoded one by one as they are appended, so that a record's size is known before it is
made; a record is its head with the entries laid behind it, which is the same bytes as encoding all
of it at once (https://protobuf.dev/programming-guides/encoding/#order).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from chat.cluster.v1 import record_pb2 as pb
from chat_service.core import commands
from chat_service.core.commands import Entry, EntryBody, Proof
from chat_service.core.moderation import ModerationAction
from chat_service.core.record import Record, record_id

FORMAT: Final = 1
"""The version of the log that is known here: how its records are encoded, and what the rules make
of them. The next one is made by a kind or field that older versions must not pass over, and by any
change of what comes of an entry; then a record goes by the rules of the version that it needs.
"""

_ENTRIES_TAG: Final = b"\x22"  # field 4, length-delimited: Record.entries


class BadRecord(Exception):
    """A record cannot be read; `str()` of it is one sentence."""


class NewerRecord(BadRecord):
    """A record holds what only a later version knows."""


def encode_entry(entry: Entry) -> bytes:
    """Encode an entry as part of a record."""
    message = pb.Entry(
        session=entry.session, ref=entry.ref, user=entry.user, client=entry.client, at=entry.at
    )
    kind, fill = _ENCODERS[type(entry.body)]
    fill(getattr(message, kind), entry.body)
    encoded = message.SerializeToString()
    return b"".join((_ENTRIES_TAG, _varint(len(encoded)), encoded))


def encode_record(publisher: str, number: int, entries: Iterable[bytes]) -> bytes:
    """Make a record of encoded entries."""
    head = pb.Record(publisher=publisher, number=number, needs=FORMAT)
    return b"".join((head.SerializeToString(), *entries))


def decode_record(data: bytes, position: int) -> Record:
    """Decode the record at a position of the log; raises BadRecord, NewerRecord."""
    try:
        record = pb.Record.FromString(data)
    except DecodeError:
        raise BadRecord(f"record {position} of the log is not one of this service") from None
    if record.needs > FORMAT:
        raise NewerRecord(
            f"record {position} of the log was written by a newer version (format {record.needs},"
            f" this one knows {FORMAT}): upgrade this node"
        )
    try:
        entries = [_entry(it, position) for it in record.entries]
    except ValueError:  # a number that this version has no name for
        raise BadRecord(f"record {position} of the log has an entry of an unknown kind") from None
    if not (record.publisher and record.number and entries):
        raise BadRecord(f"record {position} of the log lacks what every record has")
    return Record(position, record.publisher, record.number, entries)


def identify(data: bytes) -> str:
    """Return the id of an encoded record; empty if it is none."""
    try:
        record = pb.Record.FromString(data)
    except DecodeError:
        return ""
    return record_id(record.publisher, record.number)


def _entry(it: pb.Entry, position: int) -> Entry:
    kind = it.WhichOneof("body")
    if kind is None:
        raise BadRecord(f"record {position} of the log has an entry of an unknown kind")
    body = _DECODERS[kind](getattr(it, kind))
    return Entry(it.session, it.ref, it.user, it.client, it.at, body)


def _varint(number: int) -> bytes:
    """Encode a length (https://protobuf.dev/programming-guides/encoding/#varints)."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


# --- bodies, there ---


def _copy(*fields: str) -> Callable[[Any, Any], None]:
    """Return what copies fields that have one name and one type on both sides."""

    def fill(message: Any, body: Any) -> None:
        message.SetInParent()  # which kind it is says something even where every field is empty
        for field in fields:
            value = getattr(body, field)
            if value is not None:
                setattr(message, field, value)

    return fill


def _with(plain: Callable[[Any, Any], None], *parts: str) -> Callable[[Any, Any], None]:
    """Return what copies plain fields, and a proof or a token as well."""

    def fill(message: Any, body: Any) -> None:
        plain(message, body)
        for part in parts:
            _PARTS[part](getattr(message, part), getattr(body, part))

    return fill


def _fill_proof(message: pb.Proof, proof: Proof) -> None:
    match proof:
        case commands.ByPassword(generation):
            message.password_generation = generation
        case commands.ByToken(digest):
            message.token_digest = digest
        case commands.Vouched():
            message.vouched.SetInParent()


def _fill_token(message: pb.Token, token: commands.Token | None) -> None:
    if token is not None:
        message.SetInParent()
        message.digest = token.digest
        message.expires = token.expires
        message.label = token.label


def _fill_send(message: pb.Send, body: commands.Send) -> None:
    message.to = body.to
    message.text = body.text
    message.nonce = body.nonce
    message.reply_to = body.reply_to
    message.since = body.since


_PARTS: Final[dict[str, Callable[[Any, Any], None]]] = {
    "proof": _fill_proof,
    "token": _fill_token,
}
_ENCODERS: Final[dict[type[EntryBody], tuple[str, Callable[[Any, Any], None]]]] = {
    commands.Enter: (
        "enter",
        _with(_copy("transient", "resume", "token", "skeleton", "address"), "proof"),
    ),
    commands.Exit: ("exit", _copy("hold")),
    commands.Send: ("send", _fill_send),
    commands.Join: ("join", _copy("room")),
    commands.Leave: ("leave", _copy("room")),
    commands.Moderate: ("moderate", _copy("room", "action", "user", "reason", "duration")),
    commands.Register: (
        "register",
        _with(_copy("hash", "skeleton", "admin", "by", "address"), "token", "proof"),
    ),
    commands.Grant: ("grant", _with(_copy("address"), "token", "proof")),
    commands.Revoke: ("revoke", _with(_copy("id"), "proof")),
    commands.SetPassword: ("set_password", _with(_copy("hash", "keep"), "proof")),
    commands.UpdateAccount: ("update_account", _with(_copy("user", "hash", "admin"), "proof")),
    commands.DeleteAccount: ("delete_account", _with(_copy("user"), "proof")),
    commands.EndSessions: ("end_sessions", _with(_copy("user", "session", "reason"), "proof")),
    commands.BanSubject: ("ban_subject", _with(_copy("subject", "reason", "duration"), "proof")),
    commands.UnbanSubject: ("unban_subject", _with(_copy("subject"), "proof")),
    commands.Announce: ("announce", _with(_copy("text"), "proof")),
    commands.Trim: ("trim", _copy("topic", "upto")),
}


# --- bodies, back ---


def _proof(it: Any) -> Proof:
    match it.proof.WhichOneof("kind"):
        case "password_generation":
            return commands.ByPassword(it.proof.password_generation)
        case "token_digest":
            return commands.ByToken(it.proof.token_digest)
        case "vouched":
            return commands.Vouched()
        case _:
            return None


def _token(it: pb.Token) -> commands.Token:
    return commands.Token(it.digest, it.expires, it.label)


def _set(message: Message, field: str) -> Any:
    """Return a field's value, None where it was not set."""
    return getattr(message, field) if message.HasField(field) else None


def _register(it: pb.Register) -> commands.Register:
    token = _token(it.token) if it.HasField("token") else None
    by = _set(it, "by")
    return commands.Register(it.hash, it.skeleton, token, _proof(it), it.admin, by, it.address)


def _enter(it: pb.Enter) -> commands.Enter:
    resume = _set(it, "resume")
    return commands.Enter(it.transient, resume, _proof(it), it.token, it.skeleton, it.address)


_DECODERS: Final[dict[str, Callable[[Any], EntryBody]]] = {
    "enter": _enter,
    "exit": lambda it: commands.Exit(it.hold),
    "send": lambda it: commands.Send(it.to, it.text, it.nonce, it.reply_to, it.since),
    "join": lambda it: commands.Join(it.room),
    "leave": lambda it: commands.Leave(it.room),
    "moderate": lambda it: commands.Moderate(
        it.room, ModerationAction(it.action), it.user, it.reason, _set(it, "duration")
    ),
    "register": _register,
    "grant": lambda it: commands.Grant(_token(it.token), _proof(it), it.address),
    "revoke": lambda it: commands.Revoke(it.id, _proof(it)),
    "set_password": lambda it: commands.SetPassword(it.hash, _proof(it), it.keep),
    "update_account": lambda it: commands.UpdateAccount(
        it.user, _proof(it), _set(it, "hash"), _set(it, "admin")
    ),
    "delete_account": lambda it: commands.DeleteAccount(it.user, _proof(it)),
    "end_sessions": lambda it: commands.EndSessions(it.user, _proof(it), it.session, it.reason),
    "ban_subject": lambda it: commands.BanSubject(
        it.subject, _proof(it), it.reason, _set(it, "duration")
    ),
    "unban_subject": lambda it: commands.UnbanSubject(it.subject, _proof(it)),
    "announce": lambda it: commands.Announce(it.text, _proof(it)),
    "trim": lambda it: commands.Trim(it.topic, it.upto),
}
