"""The streaming rule engine and its rule pack."""
