"""What is to be known of a text without a copy of it."""


def utf8_size(text: str) -> int:
    """Return how many bytes a text has in UTF-8; for ASCII, without encoding it."""
    return len(text) if text.isascii() else len(text.encode())
