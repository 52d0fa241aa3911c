"""What can go wrong in an OpenFlow conversation, and whose fault it is.

OpenFlowError
├── LocalError     we asked for something the protocol does not allow now
└── RemoteError    the peer sent something wrong; knows what to answer
"""


class OpenFlowError(Exception):
    """Anything that goes wrong in an OpenFlow conversation."""


class LocalError(OpenFlowError):
    """We broke the rules of the protocol; nothing was sent."""


class RemoteError(OpenFlowError):
    """The peer broke the rules; *reason* is the (type, code) to answer with.

    *offset* counts from the first byte of the message.
    """

    def __init__(self, text: str, reason: tuple[int, int], offset: int = 0) -> None:
        super().__init__(text)
        self.reason = reason
        self.offset = offset
