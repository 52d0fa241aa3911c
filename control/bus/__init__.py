"""The bus: it forwards every event from publishers to those who subscribed."""

from .bus import Bus

__all__ = ["Bus"]
