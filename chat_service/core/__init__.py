"""The rules of the chat, without I/O, clock or randomness."""
