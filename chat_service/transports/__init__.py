"""Bytes in, bytes out: what differs between one kind of connection and another."""
