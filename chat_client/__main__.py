"""`python -m chat_client` is `chat-client`."""

from chat_client.cli import main

main()
