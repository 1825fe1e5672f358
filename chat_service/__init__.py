"""A concurrent chat service on one ordered, durable log. `docs/architecture.md` is the map."""

from importlib.metadata import version

__version__ = version("chat-service")
