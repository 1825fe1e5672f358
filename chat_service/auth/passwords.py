"""Passwords, hashed with Argon2id by argon2-cffi at its recommended parameters.

These are the second choice of RFC 9106, section 4: 64 MiB and three passes. So each hash takes tens
of milliseconds of a core, in threads of its own, few enough to bound the memory; those who wait for
one are bounded too.

A password is prepared by the PRECIS profile OpaqueString (RFC 8265, section 4), so that it is the
same password from two keyboards that compose an accent differently.
"""

import asyncio
import base64
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from precis_i18n import get_profile

from chat_service.core.errors import InvalidCommand, Unavailable

MIN_CHARS: Final = 8
MAX_CHARS: Final = 256
"""Characters, and four times as many bytes."""

CONCURRENT: Final = 2
"""Hashes computed at a time, each with 64 MiB."""

MAX_WAITING: Final = 64
"""Hashes that may wait for those: a few seconds' work."""

_PROFILE: Final = get_profile("OpaqueString")

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


class Passwords:
    """Hashes and verifies passwords off the loop, in threads that start when first needed."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobodys = _hash_of_nothing(self._hasher)
        self._threads = ThreadPoolExecutor(CONCURRENT, thread_name_prefix="password")
        self._under_way = 0
        self._closed = False

    async def hash(self, password: str) -> str:
        """Return the encoded hash of a new password; raises InvalidCommand, Unavailable."""
        check(password)
        return await self._in_thread(self._hasher.hash, _prepare(password))

    async def verify(self, hash_: str | None, password: str) -> bool:
        """Tell whether a password is the one of a hash; raises Unavailable.

        None stands for an unknown name or an account without a password. Nothing tells it from a
        wrong password, the time that it takes included.
        """
        try:
            prepared = _prepare(password)
        except InvalidCommand:  # which says nothing about the account, however soon it is said
            return False
        is_right = await self._in_thread(self._matches, hash_ or self._nobodys, prepared)
        return is_right and bool(hash_)

    def needs_rehash(self, hash_: str) -> bool:
        """Tell whether a hash was made with parameters that are no longer the recommended ones."""
        return self._hasher.check_needs_rehash(hash_)

    def close(self) -> None:
        """Start no more hashes: those who wait for one, or ask from now on, get Unavailable."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, hash_: str, prepared: str) -> bool:
        try:
            return self._hasher.verify(hash_, prepared)
        except VerifyMismatchError:
            return False

    async def _in_thread(
        self,
        work: Callable[_Args, _Result],
        *args: _Args.args,
        **kwargs: _Args.kwargs,
    ) -> _Result:
        if self._closed:
            raise Unavailable("the server is shutting down")
        if self._under_way >= CONCURRENT + MAX_WAITING:
            raise Unavailable("too many passwords to check at once", retry_after=1.0)
        self._under_way += 1
        future = asyncio.wrap_future(self._threads.submit(work, *args, **kwargs))
        future.add_done_callback(self._finished)
        try:
            # A thread cannot be interrupted, so whoever stops waiting leaves its place taken.
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if self._closed and future.cancelled():
                raise Unavailable("the server is shutting down") from None
            raise

    def _finished(self, _future: asyncio.Future[_Result]) -> None:
        self._under_way -= 1


def check(password: str) -> None:
    """Raise InvalidCommand for what cannot become a password."""
    if not password or len(_prepare(password)) < MIN_CHARS:
        raise InvalidCommand(f"a password has at least {MIN_CHARS} characters")


def _prepare(password: str) -> str:
    """Return what is hashed; raises InvalidCommand."""
    if len(password) > MAX_CHARS:
        raise InvalidCommand(f"a password has at most {MAX_CHARS} characters")
    try:
        prepared: str = _PROFILE.enforce(password)
    except UnicodeEncodeError:
        raise InvalidCommand("a password has no line ends or other control characters") from None
    return prepared


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """Return a hash with a hasher's parameters that was made of no password at all."""
    salt, tag = (_base64(secrets.token_bytes(size)) for size in (hasher.salt_len, hasher.hash_len))
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2{hasher.type.name.lower()}$v=19${costs}${salt}${tag}"


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode().rstrip("=")
