"""Fixtures for those who try to get over the wall."""

from typing import Any

import pytest

from chat_service.node import Node
from tests.conftest import ANY_PORT, StartNode
from tests.transports.conftest import dial, enter, hasty_node, open_stream

__all__ = ["dial", "enter", "hasty_node", "open_stream"]


@pytest.fixture
def start_node(start_node: StartNode) -> StartNode:
    """Start nodes that have every door."""

    async def start(**settings: Any) -> Node:
        return await start_node(**({"web": ANY_PORT} | settings))

    return start
