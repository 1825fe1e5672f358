"""Everything that may be said with a slash, and `/help`, which lists it."""

from collections.abc import Callable
from typing import Final

from chat_service.core.address import parse_name, parse_room
from chat_service.core.commands import (
    CommandBody,
    Conversations,
    History,
    Join,
    Leave,
    MayChangePassword,
    MaySignUp,
    Ping,
    Quit,
    Send,
    Who,
)
from chat_service.core.errors import InvalidCommand
from chat_service.core.limits import MAX_HISTORY
from chat_service.wire import moderation
from chat_service.wire.dialogue import change_password, log_in, sign_up
from chat_service.wire.verbs import Talk, Verb


def _msg(_talk: Talk, name: str, text: str) -> Send:
    return Send("@" + name.removeprefix("@"), text)


def _join(talk: Talk, raw: str) -> Join:
    room = _room(raw)
    _move(talk, talk.places.will_join, room)
    return Join(room)


def _leave(talk: Talk, raw: str | None = None) -> Leave:
    room = talk.places.current if raw is None else _room(raw)
    _move(talk, talk.places.will_leave, room)
    return Leave(room)


def _move(talk: Talk, plan: Callable[[int, str], None], room: str) -> None:
    plan(talk.ref, room)
    places, ref = talk.places, talk.ref
    talk.answer_with(lambda _: places.done(ref))


def _room(raw: str) -> str:
    """Return a room's normal form, which rendering compares with; raises InvalidAddress."""
    return parse_room("#" + raw.strip().removeprefix("#"))


def _who(talk: Talk) -> Who:
    return Who(talk.places.current)


def _history(talk: Talk, count: str = "20") -> History:
    try:
        limit = int(count)
    except ValueError:
        limit = 0
    if limit < 1:
        raise InvalidCommand("usage: /history [N], with N from 1 on")
    return History(talk.places.current, limit=min(limit, MAX_HISTORY))


def _conversations(_talk: Talk) -> Conversations:
    return Conversations()


# The codec could answer the next two by itself, but then the answer would overtake those to the
# commands before. A Ping goes the way that they go.


def _list_rooms(talk: Talk) -> Ping:
    places = talk.places
    talk.answer_with(lambda _: places.tell())
    return Ping()


def _help(talk: Talk) -> Ping:
    talk.answer_with(lambda _: _list_verbs())
    return Ping()


def _quit(_talk: Talk) -> Quit:
    return Quit()


def _login(talk: Talk, name: str) -> CommandBody:
    if not talk.terms.proof:
        raise InvalidCommand("your certificate says who you are: no password is needed")
    return talk.hold(log_in(name, talk.terms.proof))


def _register(talk: Talk, name: str = "") -> CommandBody:
    if not (talk.user or name):
        raise InvalidCommand("usage: /register NAME")
    name = parse_name(name) if name else talk.user
    if talk.user and name != talk.user:
        raise InvalidCommand(f"you are {talk.user}: come anew to register another name")
    return talk.hold(sign_up(name), MaySignUp(name))


def _password(talk: Talk) -> CommandBody:
    return talk.hold(change_password(), MayChangePassword())


_ALL: Final = (
    Verb(_msg, 2, 2, "/msg NAME text", "says something to one user"),
    Verb(_join, 1, 1, "/join #room", "enters a room, or makes it the current one"),
    Verb(_leave, 0, 1, "/leave [#room]", "leaves a room"),
    Verb(_who, 0, 0, "/who", "lists who is in the current room"),
    Verb(_list_rooms, 0, 0, "/rooms", "lists the rooms you are in"),
    Verb(_history, 0, 1, "/history [N]", "shows the last N messages (20)"),
    Verb(_conversations, 0, 0, "/conversations", "lists whom you have written with, latest first"),
    *moderation.VERBS,
    Verb(_register, 0, 1, "/register", "makes your name yours, with a password"),
    Verb(_login, 1, 1, "/login NAME", "starts anew under a name that is registered"),
    Verb(_password, 0, 0, "/password", "changes your password"),
    Verb(_help, 0, 0, "/help", "shows this"),
    Verb(_quit, 0, 0, "/quit", "leaves the chat"),
)

VERBS: Final = {verb.usage.split()[0]: verb for verb in _ALL}
"""By the word that they begin with, in the order of /help."""


def _list_verbs() -> str:
    lines = [(verb.usage, verb.meaning) for verb in _ALL]
    lines.append(("//text", "says a line that begins with a slash"))
    width = max(len(usage) for usage, _ in lines)
    return "".join(f"* {usage:<{width}}  {meaning}\n" for usage, meaning in lines)
