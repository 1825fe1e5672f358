"""What the line protocol tells of names and passwords."""

from chat_service.node import Node
from tests.accounts import PASSWORD, make_account
from tests.conftest import StartNode
from tests.transports.conftest import Dial
from tests.transports.lines import Lines

WRONG = "battery staple"


async def said(line: Lines, *typed: str) -> list[str]:
    """Type lines and return all that is answered until the server hangs up."""
    line.send("".join(f"{it}\n" for it in typed))
    await line.until_ended(within=20)
    return line.lines


async def test_an_unknown_name_and_a_wrong_password_are_answered_alike(
    start_node: StartNode, dial: Dial
) -> None:
    node = await start_node(auth="registered")
    await make_account(node, "bob")
    known = await said(await dial(node), "bob", WRONG, WRONG, WRONG)
    unknown = await said(await dial(node), "zed", WRONG, WRONG, WRONG)
    assert known == [it.replace("zed", "bob") for it in unknown]
    assert sum("wrong name or password" in it for it in known) == 3


async def test_no_line_shows_the_password_that_was_typed(node: Node, dial: Dial) -> None:
    await make_account(node, "bob")
    told = await said(await dial(node), "bob", WRONG, PASSWORD, "/quit")
    assert not [it for it in told if WRONG in it or PASSWORD in it]
    assert "* welcome, bob: you are in #lobby (/help lists the commands)" in told
