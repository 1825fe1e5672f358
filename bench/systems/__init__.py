"""The systems that can be measured, by the name that `--systems` takes."""

from typing import Final

from bench.systems.baseline import Baseline
from bench.systems.chat import ChatOverRpc, ChatOverTcp
from bench.systems.irc import NgIrcd
from bench.systems.mqtt import Mosquitto
from bench.systems.nats import Nats
from bench.systems.nodes import NODES
from bench.systems.port import System, with_variants
from bench.systems.web import ChatOverWebJson, ChatOverWebProtobuf

_ALL: Final[tuple[System, ...]] = (
    ChatOverRpc(),
    ChatOverTcp(),
    ChatOverWebJson(),
    ChatOverWebProtobuf(),
    Baseline(),
    Nats(),
    Mosquitto(),
    NgIrcd(),
)
SYSTEMS: Final = {system.name: system for system in _ALL}
DRIVEN: Final = with_variants((*_ALL, *NODES))
"""What clients can be had for: also the variants, and what one scenario alone measures."""

TITLES: Final = {name: system.title for name, system in DRIVEN.items()} | {"log": "the log alone"}
"""What stands in the tables."""
