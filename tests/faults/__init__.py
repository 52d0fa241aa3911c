"""Faults that tests bring about between components, and the house in which they do."""
