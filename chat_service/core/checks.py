"""What a command must look like before it goes into the log, and its form there."""

from collections.abc import Callable
from typing import Any, Final

from chat_service.core import limits
from chat_service.core.address import parse_address, parse_name, parse_room
from chat_service.core.commands import EntryBody, Join, Leave, Moderate, Send
from chat_service.core.errors import InvalidAddress, InvalidCommand, InvalidText
from chat_service.core.moderation import SERVER_BANS, ModerationAction
from chat_service.core.origin import is_address
from chat_service.core.text import utf8_size

_ACTIONS: Final = frozenset(ModerationAction)


def check_send(it: Send, since: int) -> Send:
    """Return a Send with its address in normal form; raises InvalidAddress, InvalidText.

    `since` is the first of the run of nonces; see `Send.since`.
    """
    to = parse_address(it.to)
    text = it.text
    if not text or text.isspace():
        raise InvalidText("a text cannot be empty")
    if utf8_size(text) > limits.MAX_TEXT_BYTES:
        raise InvalidText(f"a text has at most {limits.MAX_TEXT_BYTES} bytes")
    return Send(to, text, it.nonce, it.reply_to, since if it.nonce else 0)


def check_join(it: Join) -> Join:
    """Return a Join with its room in normal form; raises InvalidAddress."""
    return Join(parse_room(it.room))


def check_leave(it: Leave) -> Leave:
    """Return a Leave with its room in normal form; raises InvalidAddress."""
    return Leave(parse_room(it.room))


def check_moderate(it: Moderate) -> Moderate:
    """Return a Moderate in normal form; raises InvalidAddress, InvalidText, InvalidCommand."""
    if it.action not in _ACTIONS:
        raise InvalidCommand("no action that this server knows")
    check_reason(it.reason)
    check_duration(it.duration)
    user = parse_target(it.user) if it.user else ""
    action = ModerationAction(it.action)
    return Moderate(parse_room(it.room), action, user, it.reason, it.duration)


def parse_target(user: str) -> str:
    """Return the normal form of whom a right is used on; raises InvalidAddress."""
    try:
        return parse_name(user)
    except InvalidAddress as error:
        if not is_address(user):
            raise
        raise InvalidAddress(f"{error}; {SERVER_BANS}") from None


def check_reason(reason: str) -> None:
    """Raise InvalidText if a reason is too long."""
    if utf8_size(reason) > limits.MAX_REASON_BYTES:
        raise InvalidText(f"a reason has at most {limits.MAX_REASON_BYTES} bytes")


def check_duration(seconds: float | None) -> None:
    """Raise InvalidCommand for what nothing can last."""
    if seconds is not None and not 0 < seconds <= limits.MAX_DURATION:
        raise InvalidCommand("a duration is above 0 and at most a hundred years")


CHECKS: Final[dict[type, Callable[[Any], EntryBody]]] = {
    Join: check_join,
    Leave: check_leave,
    Moderate: check_moderate,
}
"""How each command becomes an entry's body, but for Send."""
