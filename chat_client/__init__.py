"""The client of the chat service: an SDK for programs, and the `chat-client` command.

    from chat_client import ChatClient

`chat_client.errors` draws the tree of what can be raised.
"""

import chat_client.grpc_log  # noqa: F401 - before anything that imports grpc
from chat_client.accounts import Accounts
from chat_client.client import ChatClient
from chat_client.connection import State
from chat_client.errors import (
    AccountError,
    ChatError,
    Closed,
    CommandError,
    Refused,
    Rejected,
    TlsError,
    Unavailable,
)
from chat_client.tls import channel_credentials

__all__ = [
    "AccountError",
    "Accounts",
    "ChatClient",
    "ChatError",
    "Closed",
    "CommandError",
    "Refused",
    "Rejected",
    "State",
    "TlsError",
    "Unavailable",
    "channel_credentials",
]
