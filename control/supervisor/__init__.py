"""The supervisor: it starts the other components and keeps them running."""

from .supervisor import Supervisor

__all__ = ["Supervisor"]
