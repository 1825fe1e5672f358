"""What every session leans on."""

from collections.abc import Callable
from dataclasses import dataclass

from chat_service.auth.doorman import Doorman
from chat_service.flood import FloodControl
from chat_service.hub.hub import Hub
from chat_service.inquiries import Inquiries
from chat_service.log.port import Log
from chat_service.state.port import Archive


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a node that its sessions share.

    `now` gives microseconds since 1970, `instance` is what this run of this node is called, with
    which its sessions' ids begin.
    """

    hub: Hub
    log: Log
    archive: Archive
    inquiries: Inquiries
    flood: FloodControl
    doorman: Doorman
    now: Callable[[], int]
    instance: str = ""
