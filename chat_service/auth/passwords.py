"""Passwords, hashed with Argon2id by argon2-cffi at its recommended parameters.

These are the second choice of RFC 9106, section 4: 64 MiB and three passes. So each hash takes tens
of milliseconds of a core, in threads of its own, few enough to bound the memory. Those who wait for
one are bounded too, in all and of each network, and take turns by network: who asks for many waits
for them, and others do not. New passwords take one turn together, so that a crowd that registers
stands in the way of nobody who signs in.

A password is prepared by the PRECIS profile OpaqueString (RFC 8265, section 4), so that it is the
same password from two keyboards that compose an accent differently.
"""

import asyncio
import base64
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from precis_i18n import get_profile

from chat_service.auth.turns import Turns
from chat_service.core.errors import InvalidCommand, RateLimited, Unavailable
from chat_service.core.origin import network_of

MIN_CHARS: Final = 8
MAX_CHARS: Final = 256
"""Characters, and four times as many bytes."""

CONCURRENT: Final = 2
"""Hashes computed at a time, each with 64 MiB."""

MAX_WAITING: Final = 256
"""Hashes that may wait for those: a few seconds' work, and more than a few networks may ask for."""

MAX_OF_NETWORK: Final = 16
"""Hashes of one network that are computed or wait."""

MAX_NEW: Final = 32
"""Hashes of new passwords that are computed or wait; the rest is for those who sign in."""

_NEW: Final = "new passwords"
"""Whose turn it is for them; no network is called so."""

_PROFILE: Final = get_profile("OpaqueString")

_Result = TypeVar("_Result")


class _Hash(NamedTuple):
    """A hash that is to be computed, whose place it takes, and where the answer goes."""

    work: Callable[[], Any]
    places: frozenset[str]
    answer: "asyncio.Future[Any]"


class Passwords:
    """Hashes and verifies passwords off the loop, in threads that start when first needed."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobodys = _hash_of_nothing(self._hasher)
        self._threads = ThreadPoolExecutor(CONCURRENT, thread_name_prefix="password")
        self._turns: Turns[_Hash] = Turns()
        self._running = 0
        self._under_way = 0
        self._places: Counter[str] = Counter()
        self._closed = False

    async def hash(self, password: str, address: str) -> str:
        """Return the encoded hash of a new password.

        `address` is from where it comes, as `parse_origin` returns it. Raises InvalidCommand,
        RateLimited, Unavailable.
        """
        check(password)
        work = partial(self._hasher.hash, _prepare(password))
        return await self._in_turn(_NEW, network_of(address), work)

    async def verify(self, hash_: str | None, password: str, address: str) -> bool:
        """Tell whether a password is the one of a hash; raises RateLimited, Unavailable.

        No hash stands for an unknown name or an account without a password. Nothing tells it from
        a wrong password, the time that it takes included. `address` is as for `hash`.
        """
        try:
            prepared = _prepare(password)
        except InvalidCommand:  # which says nothing about the account, however soon it is said
            return False
        network = network_of(address)
        work = partial(self._matches, hash_ or self._nobodys, prepared)
        is_right = await self._in_turn(network, network, work)
        return is_right and bool(hash_)

    def close(self) -> None:
        """Start no more hashes: those who wait for one, or ask from now on, get Unavailable."""
        self._closed = True
        while self._turns:
            self._turns.next().answer.cancel()
        self._threads.shutdown(wait=False)

    def _matches(self, hash_: str, prepared: str) -> bool:
        try:
            return self._hasher.verify(hash_, prepared)
        except VerifyMismatchError:
            return False

    async def _in_turn(self, whose: str, network: str, work: Callable[[], _Result]) -> _Result:
        places = frozenset((whose, network))
        self._check_room(network, places)
        answer: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._under_way += 1
        self._places.update(places)
        self._turns.add(whose, _Hash(work, places, answer))
        self._compute()
        try:
            # A thread cannot be interrupted, so whoever stops waiting leaves its place taken.
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if self._closed and answer.cancelled():
                raise Unavailable("the server is shutting down") from None
            raise

    def _check_room(self, network: str, places: frozenset[str]) -> None:
        if self._closed:
            raise Unavailable("the server is shutting down")
        if self._places[network] >= MAX_OF_NETWORK:
            why = "too many passwords at once from your address: wait a moment"
            raise RateLimited(why, retry_after=1.0)
        full = _NEW in places and self._places[_NEW] >= MAX_NEW
        if full or self._under_way >= CONCURRENT + MAX_WAITING:
            raise Unavailable("too many passwords to check at once", retry_after=1.0)

    def _compute(self) -> None:
        """Begin with whatever is next, as long as there are threads for it."""
        while self._turns and self._running < CONCURRENT:
            hash_ = self._turns.next()
            self._running += 1
            computing = asyncio.wrap_future(self._threads.submit(hash_.work))
            computing.add_done_callback(partial(self._finished, hash_))

    def _finished(self, hash_: _Hash, computing: "asyncio.Future[Any]") -> None:
        self._running -= 1
        self._under_way -= 1
        self._places -= Counter(hash_.places)  # which forgets those that have none left
        if (error := computing.exception()) is not None:
            hash_.answer.set_exception(error)
        else:
            hash_.answer.set_result(computing.result())
        self._compute()


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
