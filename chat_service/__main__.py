"""`python -m chat_service` is `chat-server`."""

from chat_service.cli import main

main()
