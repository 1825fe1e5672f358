"""Fixtures for those who try to get over the wall."""

from tests.transports.conftest import dial, enter, hasty_node, open_stream

__all__ = ["dial", "enter", "hasty_node", "open_stream"]
