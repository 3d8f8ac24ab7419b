"""Bytes from a machine that watches which lines they reach: `make fuzz`."""
