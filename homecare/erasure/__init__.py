"""Forgetting a person everywhere: what the law calls erasure."""
