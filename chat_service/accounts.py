"""What can be asked about accounts without a stream: to make one, to sign in, to sign out."""

from typing import NamedTuple

from chat_service.auth.doorman import Credentials, Doorman, Origin
from chat_service.auth.tokens import digest, is_session_token, new_token
from chat_service.core.address import parse_name
from chat_service.core.commands import (
    ByToken,
    Grant,
    Proof,
    Register,
    Revoke,
    Secret,
    SetPassword,
    Token,
)
from chat_service.core.errors import InvalidCommand, InvalidText, Unauthenticated
from chat_service.core.limits import MAX_LABEL_BYTES
from chat_service.core.lookalike import skeleton
from chat_service.core.rules.facts import sign_in_id
from chat_service.desk import Desk
from chat_service.flood import FloodControl
from chat_service.state.port import Directory, SignInRow


class SessionToken(NamedTuple):
    """A session token as it is given out, once; `expires` in microseconds since 1970."""

    user: str
    token: Secret
    expires: int


class Caller(NamedTuple):
    """The account that a call is made as, and from what address.

    `digest` is that of its session token, if it has one.
    """

    name: str
    proof: Proof
    address: str
    digest: bytes = b""


class Accounts:
    """Accounts and their session tokens, which are good for `token_lifetime` seconds."""

    def __init__(
        self,
        desk: Desk,
        directory: Directory,
        doorman: Doorman,
        flood: FloodControl,
        token_lifetime: float,
    ) -> None:
        self._desk = desk
        self._directory = directory
        self._doorman = doorman
        self._flood = flood
        self._lifetime = round(token_lifetime * 1_000_000)

    async def register(
        self, user: str, password: Secret, label: str, guest: Secret | None, origin: Origin
    ) -> SessionToken:
        """Make an account and sign in; raises NameTaken, PermissionDenied, InvalidCommand.

        `guest` is the token of the guest who has the name, if there is one.
        """
        self._doorman.check_registration()
        self._flood.register(origin.address)
        name = parse_name(user)
        self._doorman.check_own_name(name, origin)
        given, kept = self._new_token(name, label)
        hashed = await self._doorman.passwords.hash(password, origin.address)
        proof = ByToken(digest(guest)) if guest is not None else None
        body = Register(hashed, skeleton(name), kept, proof, address=origin.address)
        await self._desk.submit(name, body)
        return given

    async def login(self, user: str, password: Secret, label: str, origin: Origin) -> SessionToken:
        """Exchange a name and password for a token; raises Unauthenticated, RateLimited."""
        if self._doorman.mode == "token":
            raise Unauthenticated("a signed token is needed, which comes from elsewhere")
        name = parse_name(user)
        given, kept = self._new_token(name, label)
        proof = await self._doorman.by_password(name, password, origin)
        await self._desk.submit(name, Grant(kept, proof, origin.address))
        return given

    async def caller(self, bearer: Secret | None, origin: Origin) -> Caller:
        """Return the account that a call is made as; raises Unauthenticated."""
        if bearer is None and origin.certified is None:
            raise Unauthenticated("a session token is needed, as authorization: Bearer TOKEN")
        await self._desk.synced()
        ours = self._doorman.mode != "token" and origin.certified is None
        if ours and bearer is not None and is_session_token(bearer):
            key = digest(bearer)
            name = await self._directory.signed_in(key, self._desk.now())
            if name is None:
                raise Unauthenticated("the token is not good, or no longer")
            return Caller(name, ByToken(key), origin.address, key)
        who = await self._doorman.identify(Credentials("", token=bearer), origin)
        return Caller(who.name, who.proof, origin.address)

    async def logout(self, caller: Caller) -> None:
        """Make the caller's own token worthless, and end the sessions that came with it."""
        if not caller.digest:
            raise InvalidCommand("there is nothing to sign out from: your token is not ours")
        await self._desk.submit(caller.name, Revoke(sign_in_id(caller.digest), caller.proof))

    async def revoke(self, caller: Caller, id_: str) -> None:
        """Make one of the caller's tokens worthless; raises InvalidCommand if there is none."""
        await self._desk.submit(caller.name, Revoke(id_, caller.proof))

    async def sign_ins(self, caller: Caller) -> list[SignInRow]:
        """Return the caller's tokens, the oldest first."""
        return await self._directory.sign_ins(caller.name, self._desk.now())

    async def change_password(
        self, caller: Caller, old: Secret, new: Secret, origin: Origin
    ) -> None:
        """Set another password; every token but the caller's is worthless from then on."""
        proof = await self._doorman.by_password(caller.name, old, origin)
        hashed = await self._doorman.passwords.hash(new, origin.address)
        await self._desk.submit(caller.name, SetPassword(hashed, proof, caller.digest))

    def _new_token(self, name: str, label: str) -> tuple[SessionToken, Token]:
        """Return a token as its owner gets it, and as the log does."""
        if len(label.encode()) > MAX_LABEL_BYTES or not label.isprintable():
            raise InvalidText(f"a label has at most {MAX_LABEL_BYTES} printable bytes")
        token = Secret(new_token())
        expires = self._desk.now() + self._lifetime
        return SessionToken(name, token, expires), Token(digest(token), expires, label)
