"""Whole buffers of OpenFlow messages at once: where they begin, which failed, which are wanted."""

_Bytes = bytes | bytearray | memoryview

RUN: int
BAD_VERSION: int
BAD_SIZE: int
DONE: int

def scan(
    data: _Bytes, version: int, groupable: bytes
) -> tuple[list[tuple[int, int, int, int]], int]: ...
def failures(run: _Bytes, results: _Bytes, missing: int) -> bytes: ...
def select(data: bytes, kind: int, offset: int, mask: int) -> tuple[bytes, int]: ...
def count(data: bytes) -> int: ...
