"""The bounds that every part keeps. A client learns those that concern it from `Welcome.limits`."""

from typing import Final

MAX_NAME_CHARS: Final = 32
MAX_CLIENT_ID_BYTES: Final = 128
MAX_TEXT_BYTES: Final = 4096
MAX_FRAME_BYTES: Final = 64 * 1024
MAX_BACKLOG: Final = 100
MAX_HISTORY: Final = 200
MAX_ROSTER: Final = 1000
MAX_ROOMS: Final = 100
"""Rooms a user may be in. A constant, since every node that applies a log must agree on it."""

MAX_REFUSED: Final = 256
"""Refused nonces remembered of each client: more than a client should have under way."""

HELLO_TIMEOUT: Final = 10.0
"""Seconds in which a new connection must say who it is."""

NAME_HOLD: Final = 5.0
"""Seconds for which a lost connection keeps its name."""

PRESENCE_GRACE: Final = 4.0
"""Seconds before a lost connection is told as a departure, so that a brief reconnect is silent."""
