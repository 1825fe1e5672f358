"""The rights in NATS that docs/cluster.md names are all that a node needs."""

import re
from pathlib import Path
from typing import Final

import pytest

from chat_service import snapshot_keeper
from tests.cluster.nodes import Cluster
from tests.cluster.servers import StartNats, start_nats
from tests.scenarios.heard import Said
from tests.scenarios.programs import GrpcPerson
from tests.waiting import until

__all__ = ["start_nats"]

DOCS: Final = Path(__file__).parent.parent.parent / "docs" / "cluster.md"


def permissions() -> str:
    found = re.search(r"^permissions \{.*?^\}", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[0]


async def test_nodes_with_no_other_rights_serve_and_keep_snapshots(
    start_nats: StartNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_keeper, "LOOK_EVERY", 0.1)
    user = f'{{ user: "chat", password: "secret", {permissions()} }}'
    servers = start_nats(1, f"authorization {{ users: [{user}] }}")
    url = servers.url.replace("nats://", "nats://chat:secret@")
    nodes = Cluster(servers, "chat", tmp_path, nats=(url,))
    one, other = [await nodes.start(name) for name in ("one", "other")]
    ann, bob = GrpcPerson("ann", "a"), GrpcPerson("bob", "b")
    await ann.connect(one)
    await bob.connect(other)
    await ann.say("hello")
    await bob.hears(Said("#lobby", "ann", "hello"))
    keeper = one._foundation._snapshots  # type: ignore[attr-defined]
    await until(lambda: len(one.watch.nodes()) == 2, within=10, what="both nodes' heartbeats")
    while not await keeper.listed():
        pass
    (tmp_path / "fetched").touch()
    await keeper.fetch((await keeper.listed())[0], tmp_path / "fetched")
    assert (tmp_path / "fetched").stat().st_size > 0
    assert "Violation" not in servers.servers[0].log
    for person in (ann, bob):
        await person.hang_up()
    for node in nodes.nodes:
        await node.stop()
