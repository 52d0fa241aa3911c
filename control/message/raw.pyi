"""Messages in and out of ZeroMQ sockets by libzmq's own calls, many of them at a time."""

from collections.abc import Callable, Collection

import zmq

class RawSocket:
    """A socket of pyzmq, whose thread this is used in too.

    What fails raises zmq.ZMQError: zmq.Again where there is no room, ENOTSOCK once the socket
    is closed.
    """

    socket: zmq.SyncSocket
    dry: bool  # what was read last found no more, so that the descriptor signals the next message
    def __init__(self, socket: zmq.SyncSocket) -> None: ...
    def receive(self, budget: int, with_user: bool = False) -> list[list[bytes]]:
        """Return messages that wait, so many at most, and not much more than 64 KiB of them.

        *with_user* adds who sent a message, as the gate of the context calls him, to its frames.
        """

    def send(self, frames: Collection[bytes]) -> None:
        """Send a message."""

    def waits(self) -> bool:
        """Return whether a message waits; where none does, the descriptor signals the next."""

    def forward(
        self,
        target: RawSocket,
        counts: dict[bytes, int],
        look: Callable[[bytes, bytes], object],
        every: int,
        budget: int,
    ) -> tuple[int, int, int]:
        """Send messages of two frames that wait on to *target*.

        So many at most, and not much more than a MiB of them.

        Those of a first frame that is in *counts* are counted there.  Of one that is not, and
        before each of *every* so many, look(first frame, second frame) is called.

        Return how many messages were sent, the bytes of their second frames, and how many
        messages had another number of frames and were dropped.
        """
