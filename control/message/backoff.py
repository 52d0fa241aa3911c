"""How long to wait before the next attempt: twice as long each time, up to a cap."""

FIRST = 0.5  # seconds


class Backoff:
    """The pauses between attempts; without a clock."""

    def __init__(self, cap: float, first: float = FIRST) -> None:
        self._cap = cap
        self._first = min(first, cap)
        self._next = self._first

    def failed(self) -> float:
        """Return the pause after a failed attempt."""
        pause, self._next = self._next, min(2 * self._next, self._cap)
        return pause

    def succeeded(self) -> None:
        """Begin again with the shortest pause."""
        self._next = self._first
