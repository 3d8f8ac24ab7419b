"""Operators' and families' pages, the API, live updates."""
