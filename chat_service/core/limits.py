"""The bounds that every part keeps. A client learns those that concern it from `Welcome.limits`."""

from typing import Final

MAX_NAME_CHARS: Final = 32
MAX_CLIENT_ID_BYTES: Final = 128
MAX_TEXT_BYTES: Final = 4096
MAX_FRAME_BYTES: Final = 64 * 1024
MAX_BACKLOG: Final = 100
MAX_HISTORY: Final = 200
MAX_ROSTER: Final = 1000
MAX_CONVERSATIONS: Final = 200
MAX_ROOMS: Final = 100
"""Rooms a user may be in. A constant, since every node that applies a log must agree on it."""

MAX_REFUSED: Final = 256
"""Refused nonces remembered of each client: more than a client should have under way."""

MAX_SESSIONS: Final = 64
"""Connections that one user may have, those that are waited for included."""

MAX_TOKENS: Final = 64
"""Session tokens of an account; the oldest makes way for one more."""

MAX_LABEL_BYTES: Final = 64
MAX_REASON_BYTES: Final = 256
MAX_DURATION: Final = 100 * 366 * 86_400.0
"""Seconds that a ban or a mute lasts at most."""

MAX_SANCTIONS: Final = 1_000
"""Bans and mutes of a room, and of the server."""

MAX_INVITED: Final = 1_000
"""Invitations of a room that nobody has taken up yet."""

HELLO_TIMEOUT: Final = 10.0
"""Seconds in which a new connection must say who it is."""

PASSWORDS_TYPED: Final = 3
"""Passwords that somebody may type on one connection that is not open yet."""

PASSWORD_TIMEOUT: Final = 60.0
"""Seconds that somebody has who types a password."""

NAME_HOLD: Final = 5.0
"""Seconds for which a lost connection keeps its name."""

PRESENCE_GRACE: Final = 4.0
"""Seconds before a lost connection is told as a departure, so that a brief reconnect is silent."""
