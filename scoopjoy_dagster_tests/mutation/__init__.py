"""Mutation testing of the accounting rules: `make mutation`. See docs/testing.md."""
