"""Who somebody is: from what was shown at the door to a proof that goes into the log.

What can be looked at without the state is decided here: a password against its hash, a signed token
against its key. What leans on the state (is the session token still good, is the name registered)
is decided when the entry is applied, in its order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from chat_service.auth.guessing import GuessLimiter
from chat_service.auth.jwt import TokenVerifier
from chat_service.auth.passwords import Passwords
from chat_service.auth.tokens import digest, is_session_token
from chat_service.core.address import parse_name
from chat_service.core.commands import ByPassword, ByToken, Proof, Secret, Vouched
from chat_service.core.errors import PermissionDenied, Refusal, Unauthenticated
from chat_service.state.port import Directory

AuthMode = Literal["open", "registered", "token"]


class Origin(NamedTuple):
    """Where a connection comes from.

    `address` is an IP address without a port, `client` the digest of the client's secret id (empty
    if it has none), `certified` the name in its certificate, None where none is asked for.
    """

    address: str
    client: bytes = b""
    certified: str | None = None


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

    def check_registration(self) -> None:
        """Raise PermissionDenied where nobody makes an account for himself."""
        if self.mode == "token":
            raise PermissionDenied("accounts come from elsewhere here: bring a signed token")
        if not self._registration:
            raise PermissionDenied("registration is closed: ask an admin for an account")

    async def identify(self, shown: Credentials, origin: Origin) -> Identified:
        """Return who it is; raises Unauthenticated, InvalidAddress, RateLimited, Unavailable."""
        if origin.certified is not None:
            if not origin.certified:
                raise Unauthenticated("your certificate names nobody: it has no common name")
            return Identified(_same(parse_name(origin.certified), shown.user), Vouched())
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
            right = await self.passwords.verify(hashed, password)
        except Refusal:  # who goes away meanwhile has had a try all the same
            self._guesses.withdrawn(attempt)
            raise
        if known is None or not right:
            self._guesses.failed(attempt)
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
        if name is None:
            raise Unauthenticated("the token is not good, or no longer")
        ends = await self._directory.expiry(proof.digest)
        return Identified(name, proof, None if ends is None else ends / 1_000_000)

    async def _by_signature(self, user: str, token: str) -> Identified:
        if self._verifier is None:
            raise Unauthenticated("the token is not good, or no longer")
        vouchee = await self._verifier.verify(token)
        return Identified(_same(vouchee.name, user), Vouched(), vouchee.expires)


def _same(name: str, user: str) -> str:
    """Return the name, if it is also the one that was asked for."""
    if user and parse_name(user) != name:
        raise Unauthenticated(f"your credential is for {name}")
    return name
