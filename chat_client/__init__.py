"""The client of the chat service: an SDK for programs, and the `chat-client` command.

    from chat_client import ChatClient

`chat_client.errors` draws the tree of what can be raised.
"""

from chat_client.client import ChatClient
from chat_client.connection import State
from chat_client.errors import (
    ChatError,
    Closed,
    CommandError,
    Refused,
    Rejected,
    Unavailable,
)

__all__ = [
    "ChatClient",
    "ChatError",
    "Closed",
    "CommandError",
    "Refused",
    "Rejected",
    "State",
    "Unavailable",
]
