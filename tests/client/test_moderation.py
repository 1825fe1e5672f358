"""The use of rights over a room: from calls, and from typed lines."""

import asyncio
from typing import Any

import pytest

from chat.v1 import commands_pb2, events_pb2, moderation_pb2
from chat_client import ChatClient, CommandError
from chat_client.conversation import Conversation
from chat_client.moderation import VERBS
from chat_client.verbs import UsageError

from .scripted import Peer, eventually, serving


class Typing:
    """Where lines are typed, and their commands noted."""

    room = "#dev"

    def __init__(self) -> None:
        self.asked: list[commands_pb2.Moderate] = []

    async def ask(self, command: commands_pb2.Command) -> None:
        self.asked.append(command.moderate)

    async def type(self, line: str) -> str:
        verb = VERBS[line.split(maxsplit=1)[0]]
        await verb.do(self, *verb.arguments(line))
        (it,) = self.asked
        action = moderation_pb2.ModerationAction.Name(it.action).removeprefix("MODERATION_ACTION_")
        told = [action, it.room, it.user, it.reason]
        if it.HasField("duration"):
            told.append(f"{it.duration.seconds} s")
        return " | ".join(told)


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("/kick bob", "KICK | #dev | bob | "),
        ("/kick @bob  go away now", "KICK | #dev | bob | go away now"),
        ("/kick bob 10m", "KICK | #dev | bob | 10m"),
        ("/ban bob", "BAN | #dev | bob | "),
        ("/ban bob 10m", "BAN | #dev | bob |  | 600 s"),
        ("/ban bob 2h  for spam ", "BAN | #dev | bob | for spam | 7200 s"),
        ("/ban bob spam for 10m", "BAN | #dev | bob | spam for 10m"),
        ("/mute bob 7d", "MUTE | #dev | bob |  | 604800 s"),
        ("/mute bob 999999w", "MUTE | #dev | bob |  | 604799395200 s"),
        ("/unban bob", "UNBAN | #dev | bob | "),
        ("/unmute bob", "UNMUTE | #dev | bob | "),
        ("/invite bob", "INVITE | #dev | bob | "),
        ("/private", "MAKE_PRIVATE | #dev |  | "),
        ("/public", "MAKE_PUBLIC | #dev |  | "),
        ("/op bob", "APPOINT | #dev | bob | "),
        ("/deop bob", "DISMISS | #dev | bob | "),
        ("/handover bob", "HAND_OVER | #dev | bob | "),
    ],
)
async def test_a_typed_line_is_its_command(line: str, asked: str) -> None:
    assert await Typing().type(line) == asked


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("/kick", "usage: /kick NAME [reason]"),
        ("/ban", "usage: /ban NAME [DURATION] [reason]"),
        ("/private now", "usage: /private"),
        ("/op", "usage: /op NAME"),
        ("/ban bob 10min", "10min is no duration: say 10m, 2h or 7d"),
        ("/ban bob 10", "10 is no duration: say 10m, 2h or 7d"),
        ("/mute bob 9999999d", "9999999d is no duration: say 10m, 2h or 7d"),
    ],
)
async def test_what_makes_no_sense_is_not_asked(line: str, complaint: str) -> None:
    typing = Typing()
    with pytest.raises(UsageError) as error:
        await typing.type(line)
    assert str(error.value) == complaint
    assert not typing.asked


async def test_each_right_has_its_call() -> None:
    asked: list[commands_pb2.Moderate] = []

    async def script(peer: Peer) -> None:
        await peer.welcome()
        while True:
            command = await peer.command()
            asked.append(command.moderate)
            await peer.ack(command, len(asked))

    async with serving(script) as server, ChatClient(server.address, "ann") as chat:
        assert (await chat.kick("#dev", "bob", "spam")).seq == 1
        await chat.ban("#dev", "bob", "spam", duration=90.5)
        await chat.unban("#dev", "bob")
        await chat.mute("#dev", "bob")
        await chat.unmute("#dev", "bob")
        await chat.invite("#dev", "bob")
        await chat.make_private("#dev")
        await chat.make_public("#dev")
        await chat.appoint("#dev", "bob")
        await chat.dismiss("#dev", "bob")
        await chat.hand_over("#dev", "bob")
    assert [it.action for it in asked] == moderation_pb2.ModerationAction.values()[1:]
    assert {it.room for it in asked} == {"#dev"}
    assert [it.user for it in asked] == ["bob"] * 6 + ["", ""] + ["bob"] * 3
    assert asked[0].reason == asked[1].reason == "spam"
    assert asked[1].duration.ToNanoseconds() == 90_500_000_000
    assert not asked[3].HasField("duration")


async def test_a_right_that_one_has_not_is_an_error() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        code = events_pb2.ERROR_CODE_PERMISSION_DENIED
        await peer.refuse(await peer.command(), code, "you have no right to do that in #dev")
        await peer.until_left()

    async with serving(script) as server, ChatClient(server.address, "bob") as chat:
        with pytest.raises(CommandError, match="no right") as refusal:
            await chat.kick("#dev", "ann")
    assert refusal.value.code == events_pb2.ERROR_CODE_PERMISSION_DENIED


def moderated(seq: int, action: str, **fields: str) -> events_pb2.Event:
    it = events_pb2.Moderated(room="#dev", action=f"MODERATION_ACTION_{action}", **fields)  # type: ignore[arg-type]
    return events_pb2.Event(seq=seq, moderated=it)


async def test_who_was_taken_out_does_not_come_back_by_itself() -> None:
    async def first(peer: Peer) -> None:
        await peer.welcome()
        for command in await peer.frame():
            await peer.ack(command)
        left = events_pb2.Left(room="#dev", user="bob")
        await peer.say(moderated(1, "KICK", user="bob", by="ann"))
        await peer.say(events_pb2.Event(seq=2, left=left))
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome(epoch="another log")
        assert (await peer.command()).join.room == "#ops"
        await peer.until_left()

    async with (
        serving(first, second) as server,
        ChatClient(server.address, "bob", rooms=["#dev", "#ops"]) as chat,
    ):
        await eventually(lambda: chat.welcome.cursor.epoch == "another log")


class Noting:
    """A screen that notes what it shows."""

    def __init__(self) -> None:
        self.kinds: list[str | None] = []

    async def show(self, event: events_pb2.Event, *_: str) -> None:
        self.kinds.append(event.WhichOneof("kind"))

    async def note(self, line: str) -> None: ...
    async def complain(self, line: str) -> None: ...


@pytest.mark.parametrize("unattended", [False, True])
@pytest.mark.parametrize("action", ["KICK", "BAN", "MUTE"])
async def test_who_is_taken_out_speaks_in_the_lobby_again(action: str, unattended: bool) -> None:
    """But not a script: its lines for the room must not go anywhere else."""
    announcement = events_pb2.Announcement(text="hi")

    async def script(peer: Peer) -> None:
        await peer.welcome(
            moderated(1, action, user="ann", by="root"),
            moderated(2, action, user="bob", by="ann"),
            events_pb2.Event(seq=3, announcement=announcement),
        )
        await peer.until_left()

    async with (
        serving(script) as server,
        ChatClient(server.address, "bob") as chat,
        asyncio.TaskGroup() as tasks,
    ):
        screen = Noting()
        talk = Conversation(chat, screen, tasks, room="#dev", unattended=unattended)
        following: Any = tasks.create_task(talk.follow())
        await eventually(lambda: len(screen.kinds) == 3)
        following.cancel()
    assert screen.kinds == ["moderated", "moderated", "announcement"]
    stays = unattended or action == "MUTE"
    assert talk.room == ("#dev" if stays else "#lobby")
    assert "ann" in talk.names
