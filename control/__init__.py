"""The components around the dataplane: they decide, it forwards."""

__version__ = "0.1.0"
