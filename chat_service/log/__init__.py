"""The log: the one total order of accepted commands."""
