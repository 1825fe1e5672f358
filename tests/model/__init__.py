"""The state against a simple model of the rules."""
