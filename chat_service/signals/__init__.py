"""Signals: what nodes tell each other beside the log, unordered and never stored."""
