"""What is claimed on several nodes at the same instant has one outcome, the same everywhere."""

import asyncio

import grpc

from chat.v1 import commands_pb2
from chat.v1.accounts_pb2 import ChangePasswordRequest, LoginRequest, RegisterRequest
from chat.v1.events_pb2 import ERROR_CODE_NAME_TAKEN
from chat.v1.moderation_pb2 import MODERATION_ACTION_MUTE
from tests.accounts import PASSWORD, Call, failure, make_account
from tests.cluster.conftest import Enter, OpenStream
from tests.cluster.nodes import Cluster
from tests.transports.stream import Stream
from tests.waiting import until

ROUNDS = 10


async def connected(trio: Cluster, open_stream: OpenStream) -> list[Stream]:
    """Connect to every node, so that what is said next arrives at the same instant."""
    streams = [open_stream(node) for node in trio.nodes]
    await asyncio.gather(*(stream._channel.channel_ready() for stream in streams))
    return streams


async def test_a_name_claimed_on_three_nodes_is_one_clients(
    trio: Cluster, open_stream: OpenStream, enter: Enter
) -> None:
    witness = await enter(trio.nodes[0], "witness")
    for number in range(ROUNDS):
        rivals = await connected(trio, open_stream)
        name = f"name{number}"
        answers = await asyncio.gather(
            *(rival.hello(name, f"client {i}") for i, rival in enumerate(rivals))
        )
        let_in = [i for i, it in enumerate(answers) if it.HasField("welcome")]
        refused = [it.error.code for it in answers if it.HasField("error")]
        assert len(let_in) == 1
        assert refused == [ERROR_CODE_NAME_TAKEN] * 2
        await rivals[let_in[0]].say(f"{name} is mine")
        said = await witness.hears_text(f"{name} is mine")
        assert said.message.sender == name


async def test_a_client_that_comes_to_three_nodes_at_once_is_on_one_of_them(
    trio: Cluster, open_stream: OpenStream, enter: Enter
) -> None:
    witness = await enter(trio.nodes[0], "witness")
    for number in range(ROUNDS):
        streams = await connected(trio, open_stream)
        answers = await asyncio.gather(*(it.hello(f"user{number}", "same") for it in streams))
        assert all(it.HasField("welcome") for it in answers)
        # Whoever was first was superseded by who came later, on whichever node that is.
        await until(lambda them=streams: sum(it.code is None for it in them) == 1)  # type: ignore[misc]
        (last,) = [it for it in streams if it.code is None]
        gone = {it.code for it in streams if it is not last}
        assert gone == {grpc.StatusCode.ABORTED}
        await last.say(f"user{number} is here")
        await witness.hears_text(f"user{number} is here")


async def test_an_account_registered_on_three_nodes_has_one_password(
    trio: Cluster, call: Call
) -> None:
    passwords = [f"password of node {i}" for i in range(3)]
    answers = await asyncio.gather(
        *(
            call(node, RegisterRequest(user="ann", password=password))
            for node, password in zip(trio.nodes, passwords, strict=True)
        ),
        return_exceptions=True,
    )
    made = [i for i, it in enumerate(answers) if not isinstance(it, BaseException)]
    assert len(made) == 1
    codes = {it.code() for it in answers if isinstance(it, grpc.aio.AioRpcError)}
    assert codes == {grpc.StatusCode.ALREADY_EXISTS}
    for node in trio.nodes:  # each at once, though it may not have applied that yet
        assert (await call(node, LoginRequest(user="ann", password=passwords[made[0]]))).session
        wrong = LoginRequest(user="ann", password=passwords[made[0] - 1])
        assert (await failure(call(node, wrong))).code is grpc.StatusCode.UNAUTHENTICATED


async def test_of_two_changes_of_a_password_at_once_the_first_wins(
    trio: Cluster, call: Call
) -> None:
    token = await make_account(trio.nodes[0], "ann")
    passwords = [f"password of node {i}" for i in range(2)]
    answers = await asyncio.gather(
        *(
            call(node, ChangePasswordRequest(old_password=PASSWORD, new_password=new), token)
            for node, new in zip(trio.nodes, passwords, strict=False)
        ),
        return_exceptions=True,
    )
    changed = [
        new for new, it in zip(passwords, answers, strict=True) if not isinstance(it, BaseException)
    ]
    assert len(changed) == 1
    assert (await call(trio.nodes[2], LoginRequest(user="ann", password=changed[0]))).session


async def test_a_nonce_sent_on_two_nodes_is_one_message(
    trio: Cluster, open_stream: OpenStream, enter: Enter
) -> None:
    witnesses = [await enter(node, f"witness{i}") for i, node in enumerate(trio.nodes)]
    count = 60
    cut_short = 0
    for number in range(ROUNDS):
        user, texts = f"user{number}", [f"{number}:{nonce}" for nonce in range(1, count + 1)]
        here = await enter(trio.nodes[0], user, "same")
        there = open_stream(trio.nodes[1])
        talking = asyncio.create_task(talk(here, texts))
        # The client believes its connection lost and sends everything once more over another one,
        # while what it sends over the first is still on its way.
        await witnesses[0].hears_text(texts[number])
        await there.enter(user, "same")
        arrived = there.welcome.last_nonce
        acks = [(await there.say(text, nonce=nonce)).ack for nonce, text in enumerate(texts, 1)]
        assert [it.nonce for it in acks if it.duplicate] == list(range(1, arrived + 1))
        for witness in witnesses:
            await witness.hears_text(texts[-1])
            assert [it for it in witness.texts if it.startswith(f"{number}:")] == texts
        await talking
        cut_short += arrived < count
    assert cut_short > 0, "the second connection always came too late"


async def talk(stream: Stream, texts: list[str]) -> None:
    """Say everything, numbered, one frame each, until the stream is superseded."""
    for nonce, text in enumerate(texts, 1):
        send = commands_pb2.Send(to="#lobby", text=text, nonce=nonce)
        try:
            await stream.send(commands_pb2.Command(send=send))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return
        await asyncio.sleep(0.001)  # as long as it lasts, not in order to wait for anything


async def test_a_room_made_on_three_nodes_has_one_owner(trio: Cluster, enter: Enter) -> None:
    people = [await enter(node, f"user{i}") for i, node in enumerate(trio.nodes)]
    guest = await enter(trio.nodes[0], "guest")
    for number in range(ROUNDS):
        room = f"#room{number}"
        await asyncio.gather(*(person.join(room) for person in people))
        await guest.join(room)
        mute = commands_pb2.Moderate(room=room, action=MODERATION_ACTION_MUTE, user="guest")
        answers = await asyncio.gather(*(person.ask(moderate=mute) for person in people))
        assert sorted(it.WhichOneof("kind") or "" for it in answers) == ["ack", "error", "error"]
