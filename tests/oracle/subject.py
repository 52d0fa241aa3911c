"""The switch that the oracle judges."""


class Subject:
    """A bridge with memory ports numbered from 1, in this process."""

    def __init__(self, n_ports: int) -> None:
        raise RuntimeError("the dataplane has no Python face yet")

    def apply(self, messages: bytes) -> list[int]:
        """Apply concatenated OpenFlow messages; return one code each, 0xffffffff if done."""
        raise NotImplementedError

    def send(self, port: int, frame: bytes) -> tuple[list[tuple[int, bytes]], list[bytes]]:
        """Receive *frame* on *port*; return what left, as port and frame, and packet-ins."""
        raise NotImplementedError
