"""What every component is: a process with a control endpoint that registers itself."""

from .component import Bootstrap, Component
from .lock import AlreadyRunning, Lock, holder, running
from .peer import BulkPeer
from .process import run

__all__ = [
    "AlreadyRunning",
    "Bootstrap",
    "BulkPeer",
    "Component",
    "Lock",
    "holder",
    "run",
    "running",
]
