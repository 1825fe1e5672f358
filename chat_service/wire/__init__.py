"""Pure codecs: bytes from a client to commands, events to bytes for clients."""
