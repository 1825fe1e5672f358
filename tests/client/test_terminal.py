"""`chat-client` on a terminal: a real one, a pty."""

import asyncio
import signal
import termios
from functools import partial
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from chat_client import ChatClient
from chat_client.conversation import Conversation
from chat_client.terminal import ChatCompleter, styled

from .conftest import RealServer
from .person import Open
from .program import Start
from .scripted import Peer, eventually, message, serving

PASSWORD = "correct horse battery"


async def test_what_is_typed_comes_back_in_order(terminal: Open, real_server: str) -> None:
    person = terminal(real_server, "Typer")
    await person.shows("* welcome, typer: /help lists the commands")
    await person.shows("#lobby> ")
    person.type("hello there\r")
    await person.shows("typer: hello there\n")
    person.type("\x04")
    assert await person.program.status() == 0


async def test_what_comes_in_leaves_the_typed_line_alone(terminal: Open, real_server: str) -> None:
    person = terminal(real_server, "calm", "--room", "#calm")
    await person.shows("#calm> ")
    person.type("half a")
    await person.shows("half a")
    async with ChatClient(real_server, "noisy", rooms=["#calm"]) as chat:
        for n in range(20):
            await chat.send("#calm", f"noise {n}\x1b[2J")
        await person.shows("noisy: noise 19␛[2J")
        await eventually(partial(person.ends_in, "#calm> half a"))
        person.type(" line\r")
        await person.shows("calm: half a line\n")
    person.type("\x04")
    assert await person.program.status() == 0


async def test_a_guest_registers_and_keeps_rooms_and_session(
    terminal: Open, start: Start, mortal_server: RealServer, state: Path
) -> None:
    person = terminal(mortal_server.address, "carl", "--room", "#mine")
    await person.shows("#mine> ")
    beside = start(mortal_server.address, "carl", "register", "--password-file", secret(state))
    status, _, err = await beside.ended()
    assert (status, err) == (
        1,
        "chat-client: the name carl is taken; your own chat-client has it: type /register there,"
        " or end it first\n",
    )
    for again, told in (
        ("a slip", "! the two are not the same"),
        (PASSWORD, "* carl is signed in"),
    ):
        person.type("/register\r")
        await person.shows("New password for carl: ")
        person.type(f"{PASSWORD}\r")
        await person.shows("once more:")
        person.type(f"{again}\r")
        await person.shows(told)
        person.raw = ""
    person.type("/register\r")
    await person.shows("! carl is registered already")
    await asyncio.to_thread(mortal_server.stop)
    await person.shows("* connection lost, reconnecting")
    await asyncio.to_thread(mortal_server.start)
    await person.shows("* reconnected")
    person.type("still me\r")
    await person.shows("carl: still me")
    person.type("\x04")
    assert await person.program.status() == 0
    assert PASSWORD not in (state / "chat-client" / "history").read_text()
    status, out, _ = await start(mortal_server.address, "carl").ended("/rooms\n")
    assert status == 0
    assert "* you are in: #lobby, #mine" in out


def secret(state: Path) -> str:
    state.mkdir(exist_ok=True)
    (state / "password").write_text(PASSWORD)
    return str(state / "password")


@pytest.mark.parametrize("key", ["\r", "\x04", "\x03"], ids=["Enter", "Ctrl-D", "Ctrl-C"])
async def test_who_would_rather_not_register_does_not(
    terminal: Open, real_server: str, key: str
) -> None:
    person = terminal(real_server, "wavering")
    await person.shows("#lobby> ")
    person.type("/register\r")
    await person.shows("New password for wavering: ")
    person.type(key)
    await person.shows("! no password was given: nothing was changed")
    if key == "\r":
        person.type("\x04")
    assert await person.program.status() == 0


async def test_lines_that_are_pasted_faster_than_they_go_out_stay_lines(
    terminal: Open, real_server: str
) -> None:
    person = terminal(real_server, "paster")
    await person.shows("#lobby> ")
    typed = [f"line {number}" for number in range(200)]
    person.type("".join(f"{line}\r" for line in typed))
    await person.shows("paster: line 199")
    async with ChatClient(real_server, "paster-reader") as chat:
        page = await chat.history("#lobby", limit=200)
    assert [it.message.text for it in page.events] == typed
    person.type("\x04")
    assert await person.program.status() == 0


async def test_commands_move_the_prompt(terminal: Open, real_server: str) -> None:
    person = terminal(real_server, "mover")
    await person.shows("#lobby> ")
    person.type("/join moved\r")
    await person.shows("* you are in #moved now")
    await person.shows("#moved> ")
    person.type("/join no,room\r")
    await person.shows("! not a valid name")
    person.type("/rooms\r")
    await person.shows("(current: #moved)")
    person.type("/quit\r")
    assert await person.program.status() == 0


async def test_tab_completes(terminal: Open, real_server: str) -> None:
    person = terminal(real_server, "tabber")
    await person.shows("#lobby> ")
    async with ChatClient(real_server, "xylophone") as chat:
        await chat.send("#lobby", "hello")
        await person.shows("xylophone: hello")
        for typed, completed in (("/ms\t", "/msg"), (" xyl\t", "xylophone")):
            person.type(typed)
            await eventually(partial(person.ends_in, completed))
        person.type(" psst\r")
        await person.shows("[you -> xylophone] psst")
    person.type("\x04")
    assert await person.program.status() == 0


async def test_what_is_typed_in_another_encoding_ends_nothing(
    terminal: Open, real_server: str
) -> None:
    person = terminal(real_server, "latin")
    await person.shows("#lobby> ")
    person.type("caf\udce9\r")  # as a terminal set to Latin-1 sends it
    await person.shows("latin: caf\ufffd")
    person.type("/quit\r")
    assert await person.program.status() == 0


async def test_ctrl_c_clears_the_line_and_then_quits(terminal: Open, real_server: str) -> None:
    person = terminal(real_server, "regretful")
    await person.shows("#lobby> ")
    person.type("never mind\x03said\r")
    await person.shows("regretful: said")
    assert "regretful: never" not in person.shown
    person.type("\x03")
    assert await person.program.status() == 0


async def test_typed_lines_are_remembered(terminal: Open, real_server: str) -> None:
    for first in (True, False):
        person = terminal(real_server, "forgetful")
        await person.shows("#lobby> ")
        person.type("say it again\r" if first else "\x1b[A\r")
        await person.shows("forgetful: say it again")
        person.type("\x04")
        assert await person.program.status() == 0


async def test_a_termination_gives_the_terminal_back(terminal: Open, real_server: str) -> None:
    person = terminal(real_server, "killed")
    await person.shows("#lobby> ")
    person.program.process.send_signal(signal.SIGTERM)
    assert await person.program.status() == 0
    assert termios.tcgetattr(person.master)[3] & termios.ECHO


async def test_a_lost_connection_is_told_once_and_so_is_its_return(terminal: Open) -> None:
    ready = asyncio.Event()

    async def first(peer: Peer) -> None:
        await peer.welcome(message(1, "before"))
        await ready.wait()
        await peer.drop()

    async def second(peer: Peer) -> None:
        await peer.welcome(message(2, "after"), seq=1, resumed=True)
        await peer.until_left()

    async with serving(first, second) as server:
        person = terminal(server.address, "bob")
        await person.shows("ann: before")
        ready.set()
        await person.shows("ann: after")
        for told in ("* connection lost, reconnecting", "* reconnected"):
            await person.shows(told)
            assert person.shown.count(told) == 1
        person.type("\x04")
        assert await person.program.status() == 0


@pytest.mark.parametrize("plain", ["NO_COLOR", "TERM"])
async def test_colours_can_be_had_and_refused(
    terminal: Open, real_server: str, monkeypatch: pytest.MonkeyPatch, plain: str
) -> None:
    for coloured in (True, False):
        if not coloured:
            monkeypatch.setenv(plain, "dumb")
        person = terminal(real_server, f"painter-{plain.lower()}".replace("_", "-"))
        await person.shows("welcome")
        person.type("hi\r")
        await person.shows(": hi")
        assert ("\x1b[0;36m" in person.raw) is coloured, person.raw
        person.type("\x04")
        assert await person.program.status() == 0


@pytest.mark.parametrize(
    ("line", "styles"),
    [
        ("ann: a: b\n", ["", "sender", ""]),
        ("[#dev] ann: hi\n", ["info", "sender", ""]),
        ("[ann -> you] psst\n", ["private", ""]),
        ("* ann joined\n", ["info"]),
        ("[#dev] * ann joined\n", ["info"]),
        ("! no\n", ["error"]),
        ("  * forged\n", [""]),
    ],
)
def test_lines_are_coloured_by_what_they_begin_with(line: str, styles: list[str]) -> None:
    fragments = styled(line)
    assert "".join(fragment[1] for fragment in fragments) == line
    assert [fragment[0].removeprefix("class:") for fragment in fragments if fragment[1]] == [
        style for style, fragment in zip(styles, fragments, strict=True) if fragment[1]
    ]


async def test_completion_knows_commands_rooms_and_names() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(message(1, sender="ann"), message(2, sender="anton"))
        await peer.until_left()

    class Blank:
        async def show(self, *_: object) -> None: ...
        async def note(self, line: str) -> None: ...
        async def complain(self, line: str) -> None: ...

    async with (
        serving(script) as server,
        ChatClient(server.address, "bob") as chat,
        asyncio.TaskGroup() as tasks,
    ):
        talk = Conversation(chat, Blank(), tasks)
        following = tasks.create_task(talk.follow())
        await eventually(lambda: len(talk.names) == 2)

        def completed(typed: str) -> list[str]:
            completer = ChatCompleter(talk)
            found = completer.get_completions(Document(typed), CompleteEvent())
            return [typed[: len(typed) + it.start_position] + it.text for it in found]

        assert completed("/h") == ["/history", "/handover", "/help"]
        assert completed("/kick ") == ["/kick ann", "/kick anton"]
        assert completed("/msg an") == ["/msg ann", "/msg anton"]
        assert completed("/msg ") == ["/msg ann", "/msg anton"]
        assert completed("hey ant") == ["hey anton"]
        assert completed("/join ") == ["/join #lobby"]
        assert completed("see #l") == ["see #lobby"]
        assert completed("") == []
        following.cancel()
