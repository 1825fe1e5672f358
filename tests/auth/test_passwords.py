"""Passwords: what may be one, how it is kept, and that nobody else's time or memory is taken."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from chat_service.auth import passwords
from chat_service.auth.passwords import CONCURRENT, MAX_WAITING, Passwords, check
from chat_service.core.errors import InvalidCommand, Unavailable
from tests.waiting import until

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse"


class SlowHasher(PasswordHasher):
    """Hashes when told to."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go = threading.Event()
        self.begun = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.begun += 1
        assert self.go.wait(60)
        return super().hash(password, salt=salt)


@pytest.fixture
def quick() -> Iterator[Passwords]:
    hashes = Passwords(QUICK)
    yield hashes
    hashes.close()


@pytest.fixture
def slow() -> Iterator[SlowHasher]:
    hasher = SlowHasher()
    yield hasher
    hasher.go.set()


async def until_begun(hasher: SlowHasher, count: int) -> None:
    await until(lambda: hasher.begun == count)


# --- what may be a password ---


@pytest.mark.parametrize("password", ["12345678", "x" * 256, "ünïcödé ☃", "with spaces in it"])
def test_eight_to_256_characters_of_any_script_may_be_a_password(password: str) -> None:
    check(password)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "at least 8 characters"),
        ("1234567", "at least 8 characters"),
        ("a\u0301" * 7, "at least 8 characters"),  # which are composed
        ("x" * 257, "at most 256 characters"),
        ("x" * 10_000_000, "at most 256 characters"),
        ("line\nline2", "control characters"),
        ("tab\ttabtab", "control characters"),
        ("nul\0nulnul", "control characters"),
        ("surrogate\ud800", "control characters"),
    ],
)
def test_what_cannot_be_a_password_is_refused_without_being_shown(
    password: str, reason: str
) -> None:
    with pytest.raises(InvalidCommand, match=reason) as refused:
        check(password)
    assert not password or password not in str(refused.value)


async def test_what_cannot_be_a_password_is_not_hashed(quick: Passwords) -> None:
    with pytest.raises(InvalidCommand):
        await quick.hash("short")


# --- how it is kept ---


async def test_a_password_is_verified_by_its_hash_alone(quick: Passwords) -> None:
    hashed = await quick.hash(PASSWORD)
    assert PASSWORD not in hashed
    assert await quick.verify(hashed, PASSWORD)
    assert not await quick.verify(hashed, PASSWORD + "!")
    assert not await quick.verify(hashed, PASSWORD.upper())


async def test_one_password_has_another_hash_each_time(quick: Passwords) -> None:
    assert await quick.hash(PASSWORD) != await quick.hash(PASSWORD)


async def test_a_password_is_the_same_however_a_keyboard_composes_it(quick: Passwords) -> None:
    hashed = await quick.hash("p\u00e4ssword one")
    assert await quick.verify(hashed, "pa\u0308ssword\u00a0one")


async def test_hashes_are_argon2id_with_the_parameters_recommended_now() -> None:
    hashes = Passwords()
    hashed = await hashes.hash(PASSWORD)
    hashes.close()
    assert extract_parameters(hashed) == RFC_9106_LOW_MEMORY
    assert not hashes.needs_rehash(hashed)
    assert hashes.needs_rehash(QUICK.hash(PASSWORD))


# --- an unknown name ---


async def test_without_a_hash_no_password_is_right(quick: Passwords) -> None:
    for password in (PASSWORD, "", "x" * 1000, "a\nb"):
        assert not await quick.verify(None, password)
        assert not await quick.verify("", password)


async def test_an_unknown_name_costs_as_much_as_a_wrong_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(Passwords, "_matches", lambda _, hash_, password: tried.append(hash_))
    hashes = Passwords()
    await hashes.verify(None, PASSWORD)
    hashes.close()
    assert [extract_parameters(it) for it in tried] == [RFC_9106_LOW_MEMORY]


async def test_what_could_be_no_password_is_wrong_for_everybody_alike(quick: Passwords) -> None:
    hashed = await quick.hash(PASSWORD)
    assert not await quick.verify(hashed, "x" * 257)
    assert not await quick.verify(hashed, "a\nb")


# --- time and memory ---


async def test_threads_start_when_first_needed(quick: Passwords) -> None:
    def threads() -> list[str]:
        return [it.name for it in threading.enumerate() if it.name.startswith("password")]

    before = len(threads())
    Passwords(QUICK)
    assert len(threads()) == before
    await quick.hash(PASSWORD)
    assert len(threads()) == before + 1


async def test_the_loop_goes_on_while_a_hash_is_computed(slow: SlowHasher) -> None:
    hashing = asyncio.create_task(Passwords(slow).hash(PASSWORD))
    await until_begun(slow, 1)
    assert not hashing.done()
    slow.go.set()
    assert (await hashing).startswith("$argon2id$")


async def test_few_are_computed_at_a_time_some_wait_and_the_rest_is_refused(
    slow: SlowHasher,
) -> None:
    hashes = Passwords(slow)
    admitted = [asyncio.create_task(hashes.hash(PASSWORD)) for _ in range(CONCURRENT + MAX_WAITING)]
    await until_begun(slow, CONCURRENT)
    with pytest.raises(Unavailable) as refused:
        await hashes.hash(PASSWORD)
    assert refused.value.retry_after
    assert slow.begun == CONCURRENT
    slow.go.set()
    await asyncio.gather(*admitted)
    await hashes.hash(PASSWORD)


async def test_who_stops_waiting_leaves_its_place_taken(
    slow: SlowHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 0)
    hashes = Passwords(slow)
    impatient = [asyncio.create_task(hashes.hash(PASSWORD)) for _ in range(CONCURRENT)]
    await until_begun(slow, CONCURRENT)
    for task in impatient:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    with pytest.raises(Unavailable):
        await hashes.hash(PASSWORD)
    slow.go.set()
    async with asyncio.timeout(10):
        while True:
            with suppress(Unavailable):
                assert await hashes.hash(PASSWORD)
                break
            await asyncio.sleep(0.001)


async def test_when_it_closes_who_waits_is_told_so(slow: SlowHasher) -> None:
    hashes = Passwords(slow)
    tasks = [asyncio.create_task(hashes.hash(PASSWORD)) for _ in range(CONCURRENT + 1)]
    await until_begun(slow, CONCURRENT)
    hashes.close()
    with pytest.raises(Unavailable, match="shutting down"):
        await tasks[-1]
    with pytest.raises(Unavailable, match="shutting down"):
        await hashes.hash(PASSWORD)
    slow.go.set()
    await asyncio.gather(*tasks[:-1])
