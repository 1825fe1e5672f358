"""Signals between nodes, over each adapter."""
