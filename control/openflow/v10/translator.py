"""A conversation in 1.0 as one in 1.3: what is remembered between a question and its answer."""

import struct
from collections import OrderedDict
from collections.abc import Iterator

from ..errors import RemoteError
from ..spec import messages as m
from ..spec import multipart as mp
from ..spec import pack, unpack
from ..spec.errors import BadRequest, reason
from .errors import old_error
from .ports import pack_port
from .replies import HEADER, VERSION, WRITERS, features, frame
from .requests import READERS

REMEMBERED = 4096  # messages, for errors about them
COPIED = 64  # bytes of each
ERROR = 1


class Translator:
    """Messages of one connection, both ways."""

    def __init__(self) -> None:
        self._said: OrderedDict[int, bytes] = OrderedDict()  # xid -> first bytes of the message
        self._features: dict[int, m.FeaturesReply] = {}  # xid -> what waits for the ports
        self._ports: dict[int, bytes] = {}  # xid -> ports so far

    def request(self, data: bytes) -> list[bytes]:
        """Return the messages of 1.3 for one of 1.0; raise RemoteError."""
        _, kind, _, xid = HEADER.unpack_from(data)
        reader = READERS.get(kind)
        if reader is None:
            raise RemoteError(f"type {kind}", reason(BadRequest.BAD_TYPE))
        messages = reader(data[HEADER.size :])
        self._said[xid] = data[:COPIED]
        self._said.move_to_end(xid)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return [pack(message, xid) for message in messages]

    def replies(self, data: bytes) -> bytes:
        """Return what is said in 1.0 for messages of 1.3."""
        return b"".join(self._translated(data))

    def _translated(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            _, kind, size, xid = HEADER.unpack_from(data, at)
            message = data[at : at + size]
            at += size
            if kind == ERROR:
                yield self._error(message, xid)
            else:
                yield from self._reply(unpack(b"\4" + message[1:])[0], xid)

    def _error(self, message: bytes, xid: int) -> bytes:
        kind, code = struct.unpack_from("!HH", message, HEADER.size)
        self._features.pop(xid, None)
        about = message[HEADER.size + 4 :]
        if about[:1] != bytes([VERSION]):  # it shows what we made of it
            about = self._said.get(xid, about)
        return frame(ERROR, xid, struct.pack("!HH", *old_error(kind, code)) + about)

    def _reply(self, message: m.Message, xid: int) -> Iterator[bytes]:
        if isinstance(message, m.FeaturesReply):
            self._features[xid] = message
        elif xid in self._features and isinstance(message, m.MultipartReply):
            assert isinstance(message.body, mp.PortDescReply), "replies keep their order"
            ports = self._ports.pop(xid, b"") + b"".join(map(pack_port, message.body.ports))
            if message.flags & mp.MORE:
                self._ports[xid] = ports
            else:
                kind, body = features(self._features.pop(xid), ports)
                yield frame(kind, xid, body)
        elif type(message) in WRITERS:
            for kind, body in WRITERS[type(message)](message):
                yield frame(kind, xid, body)
