"""How a node fails."""


class StartupError(Exception):
    """The node cannot start, or cannot go on; `str()` of it is one line for the operator."""


class InUse(StartupError):
    """Another process has what it needs for itself."""
