"""The map of sessions and the locks on its names."""

import asyncio

import pytest

from chat_service.hub.registry import Registry, Subscriber
from tests.hub.members import Member

OWN = b"digest of the client's id"


def subscriber(id_: str, user: str, identity: int) -> Subscriber:
    it = Member(id_).subscriber
    it.user, it.identity = user, identity
    return it


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_session_is_found_by_id_at_once_and_by_name_once_it_is_added() -> None:
    registry, ann = Registry(), subscriber("s1", "ann", 1)
    registry.open(ann)
    assert registry.get("s1") is ann
    assert (list(registry.of_user("ann")), list(registry.users)) == ([], [])
    registry.add(ann)
    assert list(registry.of_user("ann")) == list(registry.of_identity(1)) == [ann]
    assert registry.all() == [ann]
    assert len(registry) == 1


def test_nothing_is_left_of_sessions_that_are_removed() -> None:
    registry = Registry()
    sessions = [subscriber("s1", "ann", 1), subscriber("s2", "ann", 1), subscriber("s3", "bob", 2)]
    for it in sessions:
        registry.open(it)
        registry.add(it)
    registry.remove(sessions[0])
    assert list(registry.of_user("ann")) == list(registry.of_identity(1)) == [sessions[1]]
    registry.remove(sessions[1])
    assert list(registry.users) == ["bob"]
    registry.remove(sessions[2])
    registry.remove(sessions[2])  # no error
    assert (len(registry), registry._users, registry._identities) == (0, {}, {})


async def test_of_two_claims_of_one_client_on_a_name_the_second_waits_for_the_first() -> None:
    registry = Registry()
    order: list[str] = []

    async def claim(who: str, go: asyncio.Event) -> None:
        async with registry.claim("ann", OWN):
            order.append(f"{who} in")
            await go.wait()
            order.append(f"{who} out")

    first, second = asyncio.Event(), asyncio.Event()
    second.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(claim("first", first))
        group.create_task(claim("second", second))
        await settle()
        assert order == ["first in"]
        first.set()
    assert order == ["first in", "first out", "second in", "second out"]


async def test_claims_on_two_names_do_not_wait_for_each_other() -> None:
    registry = Registry()
    async with asyncio.timeout(1), registry.claim("ann", OWN), registry.claim("bob", OWN):
        assert len(registry._locks) == 2


async def test_other_clients_claims_on_a_name_do_not_stand_in_the_way() -> None:
    registry = Registry()
    stranger = registry.claim("ann", b"digest of another's")
    async with asyncio.timeout(1), stranger, registry.claim("ann", OWN):
        assert len(registry._locks) == 2


async def test_no_lock_is_left_when_nobody_holds_or_awaits_it() -> None:
    registry = Registry()

    async def claim() -> None:
        async with registry.claim("ann", OWN):
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(claim())
    assert registry._locks == {}


async def test_a_claim_that_fails_or_is_given_up_lets_go_of_its_lock() -> None:
    registry = Registry()

    async def fail() -> None:
        async with registry.claim("ann", OWN):
            waiting = asyncio.create_task(registry.claim("ann", OWN).__aenter__())
            await settle()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert registry._locks == {}


async def test_a_lock_is_not_forgotten_while_another_still_waits_for_it() -> None:
    registry = Registry()
    inside = 0

    async def claim() -> None:
        nonlocal inside
        async with registry.claim("ann", OWN):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(claim())
            await asyncio.sleep(0)  # some come while others leave
    assert registry._locks == {}
