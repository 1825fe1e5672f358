"""The SQLite state: what applying the log so far has made true."""
