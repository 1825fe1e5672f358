"""What a client asks, and what of it the log orders.

A *command* is what a client asked, its strings still as they came. An *entry* is an accepted
command on its way through the log: who asks and when, with every address in normal form. Entries
carry time and identity with them, since applying one may depend on nothing else.
"""

from typing import NamedTuple


class Cursor(NamedTuple):
    """All that a client needs to resume."""

    epoch: str
    seq: int


class Hello(NamedTuple):
    """Opens the session."""

    user: str
    client_id: str = ""
    resume: Cursor | None = None
    backlog: int = 0


class Send(NamedTuple):
    """Says something to a room or user. Also an entry's body.

    `since`: the first of the unbroken run of nonces that this session has received up to this one.
    What of it was not accepted, was refused: see `Sent.refused`.
    """

    to: str
    text: str
    nonce: int = 0
    reply_to: int = 0
    since: int = 0


class Join(NamedTuple):
    """Becomes a member of a room. Also an entry's body."""

    room: str


class Leave(NamedTuple):
    """Ceases to be a member of a room. Also an entry's body."""

    room: str


class Who(NamedTuple):
    """Asks who is there: in a room, or online at all."""

    to: str = ""
    after: str = ""


class History(NamedTuple):
    """Asks for past messages of a room or a conversation."""

    to: str
    before_seq: int = 0
    limit: int = 0


class Ping(NamedTuple):
    """Asks for a sign of life."""


class Quit(NamedTuple):
    """Leaves at once. Only the line protocol can say it: elsewhere one half-closes."""


CommandBody = Hello | Send | Join | Leave | Who | History | Ping | Quit


class Command(NamedTuple):
    """What a client asked: the kind, and the `ref` that its reply will carry."""

    ref: int
    body: CommandBody


class Enter(NamedTuple):
    """A session claims its name.

    `transient`: its client has no id of its own, so this identity ends with the session. `resume`:
    the seq behind which it wants to go on, None if it does not.
    """

    transient: bool = False
    resume: int | None = None


class Exit(NamedTuple):
    """A session is over. `hold`: its name is not free yet, as its client may come back."""

    hold: bool = False


class Trim(NamedTuple):
    """Retention takes events up to a seq: of a topic, by its name in the state, or of all ("")."""

    topic: str
    upto: int


EntryBody = Enter | Exit | Send | Join | Leave | Trim


class Entry(NamedTuple):
    """One accepted command, as the log orders it.

    `client` is a digest of the client's secret id, `at` the time in microseconds since 1970.
    """

    session: str
    ref: int
    user: str
    client: bytes
    at: int
    body: EntryBody
