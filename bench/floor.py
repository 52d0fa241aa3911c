"""The yardstick of the pipeline: a plain C program that does the least a packet needs."""

import ctypes
import tempfile
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Self

from .compiler import compiled
from .cores import pin
from .openflow import Bytes


class Floor:
    """The table of a workload's flows in bench/floor.c, with its frames."""

    name = "floor"
    source = "floor.c"
    parts: tuple[str, ...] = ()  # more files of the same program

    def __init__(self, frames: Bytes, core: int | None = None) -> None:
        self._core = core
        self._closing = ExitStack()
        folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="rcb"))
        flags = (*self.parts, "-shared", "-fPIC")
        self._library = ctypes.CDLL(str(compiled(self.source, Path(folder), *flags)))
        self._library.floor_open.restype = ctypes.c_void_p
        self._library.floor_rate.restype = ctypes.c_double
        self._rate = self._library.floor_rate
        self._library.floor_flows.restype = ctypes.c_size_t
        n, size = (ctypes.c_size_t(side) for side in frames.shape)
        handle = self._library.floor_open(frames.ctypes.data_as(ctypes.c_void_p), n, size)
        if not handle:
            self._closing.close()
            raise MemoryError(f"no floor for {len(frames)} frames of {frames.shape[1]} bytes")
        self._handle = ctypes.c_void_p(handle)
        self._closing.callback(self._library.floor_close, self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.close()

    @property
    def flows(self) -> int:
        return int(self._library.floor_flows(self._handle))

    def rate(self, seconds: float) -> float:
        """Return packets per second of the CPU time of a thread on the measured core."""
        found: list[float] = []

        def run() -> None:
            pin(self._core)
            found.append(self._rate(self._handle, ctypes.c_double(seconds)))

        thread = Thread(target=run)
        thread.start()
        thread.join()
        if not found or not found[0]:
            raise RuntimeError("the floor refused packets or found no flow for them")
        return found[0]
