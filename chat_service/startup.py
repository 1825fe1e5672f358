"""How a node fails to start."""


class StartupError(Exception):
    """The node cannot start; `str()` of it is one line for the operator."""
