"""What can go wrong in a trial."""


class LoadError(Exception):
    """The trial counts for nothing; the text says why."""
