"""What a client asks, and what of it the log orders.

A *command* is what a client asked, its strings still as they came. An *entry* is an accepted
command on its way through the log: who asks and when, with every address in normal form. Entries
carry time and identity with them, since applying one may depend on nothing else.
"""

from chat_service.core.moderation import ModerationAction
from chat_service.core.value import Value


class Secret(str):
    """A password or token, which no `repr` shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)"


class Cursor(Value):
    """All that a client needs to resume."""

    epoch: str
    seq: int


class Hello(Value):
    """Opens the session; the password or the token proves the name."""

    user: str
    client_id: str = ""
    resume: Cursor | None = None
    backlog: int = 0
    password: Secret | None = None
    token: Secret | None = None


class Send(Value):
    """Says something to a room or user. Also an entry's body.

    `since`: the first of the run of nonces that this session has received up to this one. What of
    it was not accepted when this one is, was refused: see `Sent.refused`.
    """

    to: str
    text: str
    nonce: int = 0
    reply_to: int = 0
    since: int = 0


class Join(Value):
    """Becomes a member of a room. Also an entry's body."""

    room: str


class Leave(Value):
    """Ceases to be a member of a room. Also an entry's body."""

    room: str


class Who(Value):
    """Asks who is there: in a room, or online at all."""

    to: str = ""
    after: str = ""


class History(Value):
    """Asks for past messages of a room or a conversation."""

    to: str
    before_seq: int = 0
    limit: int = 0


class Conversations(Value):
    """Asks with whom one has written in private."""

    before_seq: int = 0
    limit: int = 0


class Ping(Value):
    """Asks for a sign of life."""


class Moderate(Value):
    """Uses a right over a room. Also an entry's body.

    `user` is empty where it concerns the room alone; `duration` is in seconds, None for good.
    """

    room: str
    action: ModerationAction
    user: str = ""
    reason: str = ""
    duration: float | None = None


# What follows only the line protocol can say. Elsewhere one half-closes, or calls Accounts.


class Quit(Value):
    """Leaves at once."""


class MaySignUp(Value):
    """Asks whether a name could be made an account: any before Hello, later one's own."""

    user: str


class SignUp(Value):
    """Makes a name an account: any before Hello, later one's own."""

    user: str
    password: Secret


class MayChangePassword(Value):
    """Asks whether there is a password to change."""


class ChangePassword(Value):
    """Sets another password."""

    old: Secret
    new: Secret


CommandBody = (
    Hello
    | Send
    | Join
    | Leave
    | Who
    | History
    | Conversations
    | Ping
    | Moderate
    | Quit
    | MaySignUp
    | SignUp
    | MayChangePassword
    | ChangePassword
)


class Command(Value):
    """What a client asked: the kind, and the `ref` that its reply will carry."""

    ref: int
    body: CommandBody


# How a name was proven before the entry was appended. It is looked at again when the entry is
# applied, since what it leans on may have gone meanwhile.


class ByPassword(Value):
    """The account's password was right; `generation` counts how often it had been changed."""

    generation: int


class ByToken(Value):
    """A session token was given, of which this is the digest. Nobody has looked at it yet."""

    digest: bytes


class Vouched(Value):
    """Somebody whom the operator trusts says so: a signer of tokens, a certificate authority."""


Proof = ByPassword | ByToken | Vouched | None
"""None proves nothing: a guest, or in an entry without a user the operator's console."""


class Token(Value):
    """A session token to be: its digest, when it ends (µs since 1970) and what it is called."""

    digest: bytes
    expires: int
    label: str = ""


class Enter(Value):
    """A session claims its name.

    `transient`: its client has no id of its own, so a guest's identity ends with the session.
    `resume`: the seq behind which it wants to go on, None if it does not. `token` is the digest of
    the token that a guest is given, `skeleton` what the name looks like, `address` where the
    session comes from.
    """

    transient: bool = False
    resume: int | None = None
    proof: Proof = None
    token: bytes = b""
    skeleton: str = ""
    address: str = ""


class Exit(Value):
    """A session is over. `hold`: its name is not free yet, as its client may come back."""

    hold: bool = False


class Register(Value):
    """A name becomes an account's, with this hash of its password and a first token.

    `proof` is that of a guest who has the name. `by` is the admin who makes the account for
    another; None: one makes it for oneself, from this address.
    """

    hash: str
    skeleton: str
    token: Token | None = None
    proof: Proof = None
    admin: bool = False
    by: str | None = None
    address: str = ""


class Grant(Value):
    """An account that has proven itself, from an address, gets a session token."""

    token: Token
    proof: Proof
    address: str = ""


class Revoke(Value):
    """The account takes back the token with this id."""

    id: str
    proof: Proof


class SetPassword(Value):
    """The account has another password; `keep` is the digest of the one token that stays good."""

    hash: str
    proof: Proof
    keep: bytes = b""


# What admins do: the entry's user is the admin, or nobody for the operator's console.


class UpdateAccount(Value):
    """An account gets another password or other rights; None leaves them."""

    user: str
    proof: Proof
    hash: str | None = None
    admin: bool | None = None


class DeleteAccount(Value):
    """An account is no more."""

    user: str
    proof: Proof


class EndSessions(Value):
    """The sessions of a user end, or the one of them that is named."""

    user: str
    proof: Proof
    session: str = ""
    reason: str = ""


class BanSubject(Value):
    """A name (`bob`) or network (`192.0.2.0/24`) is not let in; `duration` in seconds."""

    subject: str
    proof: Proof
    reason: str = ""
    duration: float | None = None


class UnbanSubject(Value):
    """A name or network is let in again."""

    subject: str
    proof: Proof


class Announce(Value):
    """Something is said to everyone."""

    text: str
    proof: Proof


class Trim(Value):
    """Retention takes events up to a seq: of a topic, by its name in the state, or of all ("")."""

    topic: str
    upto: int


AccountBody = Register | Grant | Revoke | SetPassword
AdminBody = UpdateAccount | DeleteAccount | EndSessions | BanSubject | UnbanSubject | Announce
EntryBody = Enter | Exit | Send | Join | Leave | Moderate | AccountBody | AdminBody | Trim


class Entry(Value):
    """One accepted command, as the log orders it.

    `client` is a digest of the client's secret id, `at` the time in microseconds since 1970.
    """

    session: str
    ref: int
    user: str
    client: bytes
    at: int
    body: EntryBody
