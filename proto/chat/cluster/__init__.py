"""The generated contract; see `proto/`."""
