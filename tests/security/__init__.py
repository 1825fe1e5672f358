"""The wall: what nobody learns or does who is not entitled to it."""
