"""What happens where one connection of a client ends and the next begins."""

from pathlib import Path
from random import Random

from chat.v1 import commands_pb2
from chat_client import ChatClient, CommandError

from ..waiting import until
from .crash.proxy import Proxy
from .crash.server import ServerProcess


def send(to: str, text: str) -> commands_pb2.Command:
    return commands_pb2.Command(send=commands_pb2.Send(to=to, text=text))


async def test_what_was_refused_stays_refused_though_the_refusal_was_lost(tmp_path: Path) -> None:
    """A refused send must not be acknowledged as a duplicate because a later one was accepted."""
    async with (
        ServerProcess(tmp_path) as server,
        Proxy(server.port, Random(), longest_silence=1.0) as proxy,
    ):
        await server.start()
        async with (
            ChatClient(f"127.0.0.1:{server.port}", "ear") as ear,
            ChatClient(proxy.address, "mouth") as mouth,
        ):
            (link,) = proxy.links
            link.down.silent = True  # the replies are lost
            refused = await mouth.submit(send("#nowhere", "to nobody"))
            accepted = await mouth.submit(send("#lobby", "to all"))
            while (await anext(ear)).message.text != "to all":
                pass
            link.reset()
            assert (await accepted).ack.duplicate
            await until(refused.done)
            error = refused.exception()
            assert isinstance(error, CommandError), refused.result()
