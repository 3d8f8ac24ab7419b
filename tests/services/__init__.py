"""The real services the tests run on: each class starts one, stops it, and can kill it."""
