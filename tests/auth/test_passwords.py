"""Passwords: what may be one, how it is kept, and that nobody else's time or memory is taken."""

import asyncio
import threading
from asyncio import Task
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Literal

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY

from chat_service.auth import passwords
from chat_service.auth.passwords import (
    CONCURRENT,
    MAX_NEW,
    MAX_OF_NETWORK,
    MAX_WAITING,
    Passwords,
    check,
)
from chat_service.core.errors import InvalidCommand, RateLimited, Unavailable
from tests.waiting import until

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse"
HOME = "192.0.2.1"


class SlowHasher(PasswordHasher):
    """Hashes when told to."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go = threading.Event()
        self.begun = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self._wait()
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
        self._wait()
        return super().verify(hash, password)

    def _wait(self) -> None:
        self.begun += 1
        assert self.go.wait(60)


class SteppedHasher(SlowHasher):
    """Finishes one hash for each step, whichever thread is quicker."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = threading.Semaphore(0)

    def step(self, count: int = 1) -> None:
        self._steps.release(count)

    def _wait(self) -> None:
        self.begun += 1
        assert self._steps.acquire(timeout=60)


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


@pytest.fixture
def stepped() -> Iterator[SteppedHasher]:
    hasher = SteppedHasher()
    yield hasher
    hasher.step(1000)


async def finish(hasher: SteppedHasher, done: list[str], tasks: Sequence[Task[None]]) -> None:
    """Let what the tasks wait for be done, one by one."""
    for number in range(len(tasks)):
        hasher.step()
        await until(lambda: len(done) > number)  # noqa: B023  (awaited at once)
    await asyncio.gather(*tasks)


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
        await quick.hash("short", HOME)


# --- how it is kept ---


async def test_a_password_is_verified_by_its_hash_alone(quick: Passwords) -> None:
    hashed = await quick.hash(PASSWORD, HOME)
    assert PASSWORD not in hashed
    assert await quick.verify(hashed, PASSWORD, HOME)
    assert not await quick.verify(hashed, PASSWORD + "!", HOME)
    assert not await quick.verify(hashed, PASSWORD.upper(), HOME)


async def test_one_password_has_another_hash_each_time(quick: Passwords) -> None:
    assert await quick.hash(PASSWORD, HOME) != await quick.hash(PASSWORD, HOME)


async def test_a_password_is_the_same_however_a_keyboard_composes_it(quick: Passwords) -> None:
    hashed = await quick.hash("p\u00e4ssword one", HOME)
    assert await quick.verify(hashed, "pa\u0308ssword\u00a0one", HOME)


async def test_hashes_are_argon2id_with_the_parameters_recommended_now() -> None:
    hashes = Passwords()
    hashed = await hashes.hash(PASSWORD, HOME)
    hashes.close()
    assert extract_parameters(hashed) == RFC_9106_LOW_MEMORY


# --- an unknown name ---


async def test_without_a_hash_no_password_is_right(quick: Passwords) -> None:
    for password in (PASSWORD, "", "x" * 1000, "a\nb"):
        assert not await quick.verify(None, password, HOME)
        assert not await quick.verify("", password, HOME)


async def test_an_unknown_name_costs_as_much_as_a_wrong_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(Passwords, "_matches", lambda _, hash_, password: tried.append(hash_))
    hashes = Passwords()
    await hashes.verify(None, PASSWORD, HOME)
    hashes.close()
    assert [extract_parameters(it) for it in tried] == [RFC_9106_LOW_MEMORY]


async def test_what_could_be_no_password_is_wrong_for_everybody_alike(quick: Passwords) -> None:
    hashed = await quick.hash(PASSWORD, HOME)
    assert not await quick.verify(hashed, "x" * 257, HOME)
    assert not await quick.verify(hashed, "a\nb", HOME)


# --- time and memory ---


async def test_threads_start_when_first_needed(quick: Passwords) -> None:
    def threads() -> list[str]:
        return [it.name for it in threading.enumerate() if it.name.startswith("password")]

    before = len(threads())
    Passwords(QUICK)
    assert len(threads()) == before
    await quick.hash(PASSWORD, HOME)
    assert len(threads()) == before + 1


async def test_the_loop_goes_on_while_a_hash_is_computed(slow: SlowHasher) -> None:
    hashing = asyncio.create_task(Passwords(slow).hash(PASSWORD, HOME))
    await until_begun(slow, 1)
    assert not hashing.done()
    slow.go.set()
    assert (await hashing).startswith("$argon2id$")


async def test_few_are_computed_at_a_time_some_wait_and_the_rest_is_refused(
    slow: SlowHasher,
) -> None:
    hashes = Passwords(slow)
    everywhere = (f"198.51.100.{number // 4}" for number in range(CONCURRENT + MAX_WAITING))
    admitted = [asyncio.create_task(hashes.verify(None, PASSWORD, it)) for it in everywhere]
    await until_begun(slow, CONCURRENT)
    with pytest.raises(Unavailable) as refused:
        await hashes.verify(None, PASSWORD, HOME)
    assert refused.value.retry_after
    assert slow.begun == CONCURRENT
    slow.go.set()
    await asyncio.gather(*admitted)
    await hashes.verify(None, PASSWORD, HOME)


async def test_one_network_may_take_a_part_and_the_others_are_served(slow: SlowHasher) -> None:
    hashes = Passwords(slow)
    ours = [f"2001:db8::{number:x}" for number in range(MAX_OF_NETWORK)]
    half = MAX_OF_NETWORK // 2
    admitted = [asyncio.create_task(hashes.verify(None, PASSWORD, it)) for it in ours[:half]]
    admitted += [asyncio.create_task(hashes.verify(None, PASSWORD, it)) for it in ours[half:]]
    await until_begun(slow, CONCURRENT)
    for ask in (hashes.verify(None, PASSWORD, ours[0]), hashes.hash(PASSWORD, ours[1])):
        with pytest.raises(RateLimited, match="from your address") as refused:
            await ask
        assert refused.value.retry_after
    other = asyncio.create_task(hashes.verify(None, PASSWORD, HOME))
    slow.go.set()
    assert await other is False
    await asyncio.gather(*admitted)
    await hashes.verify(None, PASSWORD, ours[0])


async def test_networks_take_turns_whoever_asked_first_and_most_often(
    stepped: SteppedHasher,
) -> None:
    hashes = Passwords(stepped)
    done: list[str] = []

    async def ask(address: str) -> None:
        await hashes.verify(None, PASSWORD, address)
        done.append(address)

    greedy = [asyncio.create_task(ask("192.0.2.66")) for _ in range(MAX_OF_NETWORK)]
    await until_begun(stepped, CONCURRENT)
    networks = [f"198.51.100.{number}" for number in range(4)]
    others = [asyncio.create_task(ask(network)) for network in networks]
    await asyncio.sleep(0)
    await finish(stepped, done, [*greedy, *others])
    before = done[: max(map(done.index, networks))]
    # Those that had begun, one turn between each of the others, and what runs beside the last.
    assert before.count("192.0.2.66") <= CONCURRENT + 1 + CONCURRENT


async def test_a_crowd_that_registers_leaves_room_and_turns_to_who_signs_in(
    stepped: SteppedHasher,
) -> None:
    hashes = Passwords(stepped)
    done: list[str] = []

    async def register(address: str) -> None:
        await hashes.hash(PASSWORD, address)
        done.append(address)

    async def sign_in() -> None:
        await hashes.verify(None, PASSWORD, HOME)
        done.append(HOME)

    crowd = [asyncio.create_task(register(f"198.51.100.{it}")) for it in range(MAX_NEW)]
    await until_begun(stepped, CONCURRENT)
    with pytest.raises(Unavailable) as refused:
        await hashes.hash(PASSWORD, HOME)
    assert refused.value.retry_after
    signing_in = asyncio.create_task(sign_in())
    await asyncio.sleep(0)
    await finish(stepped, done, [signing_in, *crowd])
    assert done.index(HOME) <= CONCURRENT + 1 + CONCURRENT
    stepped.step()
    await hashes.hash(PASSWORD, HOME)


async def test_what_was_taken_is_given_back(quick: Passwords) -> None:
    for number in range(3 * (CONCURRENT + MAX_WAITING)):
        await quick.hash(PASSWORD, f"198.51.100.{number % 250}")
    assert not quick._places


async def test_who_stops_waiting_leaves_its_place_taken(
    slow: SlowHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 0)
    hashes = Passwords(slow)
    impatient = [asyncio.create_task(hashes.hash(PASSWORD, HOME)) for _ in range(CONCURRENT)]
    await until_begun(slow, CONCURRENT)
    for task in impatient:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    with pytest.raises(Unavailable):
        await hashes.hash(PASSWORD, HOME)
    slow.go.set()
    async with asyncio.timeout(10):
        while True:
            with suppress(Unavailable):
                assert await hashes.hash(PASSWORD, HOME)
                break
            await asyncio.sleep(0.001)


async def test_when_it_closes_who_waits_is_told_so(slow: SlowHasher) -> None:
    hashes = Passwords(slow)
    tasks = [asyncio.create_task(hashes.hash(PASSWORD, HOME)) for _ in range(CONCURRENT + 1)]
    await until_begun(slow, CONCURRENT)
    hashes.close()
    with pytest.raises(Unavailable, match="shutting down"):
        await tasks[-1]
    with pytest.raises(Unavailable, match="shutting down"):
        await hashes.hash(PASSWORD, HOME)
    slow.go.set()
    await asyncio.gather(*tasks[:-1])
