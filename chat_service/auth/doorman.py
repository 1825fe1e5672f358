"""Who somebody is: from what was shown at the door to a proof that goes into the log.

What can be looked at without the state is decided here: a password against its hash, a signed token
against its key. What leans on the state (is the session token still good, is the name registered)
is decided when the entry is applied, in its order.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal, NamedTuple, Self

from chat_service.auth.guessing import GuessLimiter
from chat_service.auth.jwt import TokenVerifier
from chat_service.auth.passwords import Passwords
from chat_service.auth.tokens import digest, is_session_token
from chat_service.core.address import parse_name
from chat_service.core.commands import ByPassword, ByToken, Proof, Secret, Vouched
from chat_service.core.errors import (
    InvalidCommand,
    NameTaken,
    PermissionDenied,
    Refusal,
    Unauthenticated,
)
from chat_service.core.limits import MAX_CLIENT_ID_BYTES
from chat_service.logs import get
from chat_service.state.port import Directory

_log = get("auth")

AuthMode = Literal["open", "registered", "token"]


CLIENT_BYTES: Final = 16
"""The length of what stands for a client's secret id."""


class Certified(NamedTuple):
    """What a client's certificate says: a name, empty if there is none, and when it expires.

    `expires` in seconds since 1970.
    """

    name: str
    expires: float


class Origin(NamedTuple):
    """Where a connection comes from.

    `address` is an IP address without a port, `client` the digest of the client's secret id (empty
    if it has none), `certified` what its certificate says, None where none is asked for.
    """

    address: str
    client: bytes = b""
    certified: Certified | None = None

    def of_client(self, client_id: str) -> Self:
        """Return where a client with this secret id, or with none, comes from.

        Raises InvalidCommand.
        """
        if not client_id:
            return self._replace(client=b"")
        if len(secret := client_id.encode()) > MAX_CLIENT_ID_BYTES:
            raise InvalidCommand(f"a client_id has at most {MAX_CLIENT_ID_BYTES} bytes")
        return self._replace(client=hashlib.sha256(secret).digest()[:CLIENT_BYTES])


class Credentials(NamedTuple):
    """What somebody shows. The user may be left out where the rest says it."""

    user: str
    password: Secret | None = None
    token: Secret | None = None


class Identified(NamedTuple):
    """A name with what proves it; `expires` in seconds since 1970 where the proof ends."""

    name: str
    proof: Proof
    expires: float | None = None


async def _at_once() -> None:
    """Wait for nothing: there is one node, which knows what it has acknowledged."""


class Doorman:
    """Checks credentials, by the way in that the operator has chosen.

    `synced` waits until the directory knows what any node has acknowledged so far.
    """

    def __init__(
        self,
        mode: AuthMode,
        directory: Directory,
        passwords: Passwords,
        guesses: GuessLimiter,
        verifier: TokenVerifier | None = None,
        *,
        registration: bool = True,
        synced: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        self.mode = mode
        self._registration = registration
        self.passwords = passwords
        self._directory = directory
        self._guesses = guesses
        self._verifier = verifier
        self._synced = synced

    @property
    def takes_newcomers(self) -> bool:
        """Whether it takes an account to come in, and anybody may make one."""
        return self.mode == "registered" and self._registration

    def check_registration(self) -> None:
        """Raise PermissionDenied where nobody makes an account for himself."""
        if self.mode == "token":
            raise PermissionDenied("accounts come from elsewhere here: bring a signed token")
        if not self._registration:
            raise PermissionDenied("registration is closed: ask an admin for an account")

    def check_own_name(self, name: str, origin: Origin) -> None:
        """Raise PermissionDenied for any other name than the one in the client's certificate.

        Else one client could take the name that another has a certificate for, or one like it.
        """
        if origin.certified is None:
            return
        own = _by_certificate("", origin.certified).name
        if name != own:
            raise PermissionDenied(f"your certificate is for {own}: register no other name")

    async def check_unregistered(self, name: str) -> None:
        """Raise NameTaken for a name that is an account's already."""
        if await self._directory.credentials(name) is not None:
            raise NameTaken(f"the name {name} is registered")

    async def check_has_password(self, name: str) -> None:
        """Raise InvalidCommand for a name that is proved in another way, or in none."""
        known = await self._directory.credentials(name)
        if known is None:
            raise InvalidCommand(f"{name} is a guest's name, which has no password")
        if known.hash is None:
            raise InvalidCommand(f"the account of {name} has no password")

    async def identify(self, shown: Credentials, origin: Origin) -> Identified:
        """Return who it is; raises Unauthenticated, InvalidAddress, RateLimited, Unavailable."""
        if origin.certified is not None:
            return _by_certificate(shown.user, origin.certified)
        if shown.token is not None:
            return await self._by_token(shown.user, shown.token)
        if self.mode == "token":
            # Who types has nothing but a password to type it as.
            if shown.password is None:
                raise Unauthenticated("a signed token is needed")
            return await self._by_token(shown.user, shown.password)
        name = parse_name(shown.user)
        if shown.password is not None:
            return Identified(name, await self.by_password(name, shown.password, origin))
        if self.mode == "registered":
            raise Unauthenticated("a password or a token is needed")
        return Identified(name, None)

    async def by_password(self, name: str, password: str, origin: Origin) -> ByPassword:
        """Return the proof that a password is an account's.

        Raises Unauthenticated in the same words and after the same time for a wrong password and
        for a name that has none; RateLimited after too many tries.
        """
        attempt = self._guesses.admit(name, origin.address, origin.client)
        try:
            await asyncio.sleep(attempt.wait)
            await self._synced()
            known = await self._directory.credentials(name)
            hashed = known.hash if known is not None else None
            right = await self.passwords.verify(hashed, password, origin.address)
        except Refusal:
            self._guesses.withdrawn(attempt)
            raise
        except BaseException:  # who goes away meanwhile has had a try all the same
            self._guesses.failed(attempt)
            raise
        if known is None or not right:
            self._guesses.failed(attempt)
            _log.info("sign-in failed", user=name, address=origin.address)
            raise Unauthenticated
        self._guesses.succeeded(attempt)
        return ByPassword(known.generation)

    async def _by_token(self, user: str, token: str) -> Identified:
        if not is_session_token(token):
            return await self._by_signature(user, token)
        if self.mode == "token":
            raise Unauthenticated("a signed token is needed")
        await self._synced()
        proof = ByToken(digest(token))
        name = parse_name(user) if user else await self._directory.bearer(proof.digest)
        ends = await self._directory.expiry(proof.digest)
        # A guest's is still there where guests were let in before the last start.
        is_guests = ends is None
        if name is None or (is_guests and self.mode == "registered"):
            raise Unauthenticated("the token is not good, or no longer")
        return Identified(name, proof, None if ends is None else ends / 1_000_000)

    async def _by_signature(self, user: str, token: str) -> Identified:
        if self._verifier is None:
            raise Unauthenticated("the token is not good, or no longer")
        vouchee = await self._verifier.verify(token)
        return Identified(_same(vouchee.name, user, "token"), Vouched(), vouchee.expires)


def _by_certificate(user: str, certified: Certified) -> Identified:
    if not certified.name:
        raise Unauthenticated("your certificate names nobody: it has no common name")
    if certified.expires <= time.time():  # since the handshake, which was some time ago
        raise Unauthenticated("your certificate has expired")
    name = _same(parse_name(certified.name), user, "certificate")
    return Identified(name, Vouched(), certified.expires)


def _same(name: str, user: str, shown: str) -> str:
    """Return the name that is on what was shown, if it is also the one that was asked for."""
    if user and parse_name(user) != name:
        raise Unauthenticated(f"your {shown} is for {name}: come as {name}, or by another {shown}")
    return name
