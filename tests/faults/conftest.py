"""Fixtures for what goes wrong."""

from tests.faults.clock import clock
from tests.transports.conftest import enter, hasty_node, open_stream

__all__ = ["clock", "enter", "hasty_node", "open_stream"]
