"""Processes that are there at once: one imports everything, and forks.

For tests that kill a process a thousand times and would only see it import.
"""

import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

LOOP = """
import importlib, os, sys
module, name = sys.argv[1].split(":")
target = getattr(importlib.import_module(module), name)
for line in sys.stdin.buffer:
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        try:
            target(line.decode().split(), os.fdopen(writing, "w", buffering=1))
        finally:
            os._exit(1)
    os.close(writing)
    print(pid, flush=True)
    said = os.fdopen(reading, "rb").read()
    os.waitpid(pid, 0)
    sys.stdout.buffer.write(b"%d\\n" % len(said) + said)
    sys.stdout.buffer.flush()
"""


class Nursery:
    """Runs *target*, "module:function", in a process of its own, again and again.

    The function gets words, and a file to write to.
    """

    def __init__(self, target: str) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-c", LOOP, target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, *words: str) -> None:
        """Begin; one at a time."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(" ".join(words).encode() + b"\n")
        self._process.stdin.flush()
        self._pid = int(self._process.stdout.readline())

    def kill(self) -> bytes:
        """End it, whatever it is doing; return all that it has written."""
        assert self._process.stdout
        os.kill(self._pid, signal.SIGKILL)
        size = int(self._process.stdout.readline())
        return self._process.stdout.read(size)
