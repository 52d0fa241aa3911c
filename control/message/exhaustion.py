"""The end of a process that gets no more memory.

What it did when memory ran out is lost half-way, and nobody has thought of
each place where that can be.  So a process that is armed ends at the first
MemoryError, wherever it is caught, and whoever watches it starts another.
Where it is not armed nothing ends.
"""

import asyncio
import errno
import os
import sys
import threading
from typing import Any

EXIT_CODE = errno.ENOMEM  # of a process that ended for this

_last_words = b""


def arm(identity: str) -> None:
    """Let this process end at the first MemoryError that is seen; needs a running loop."""
    global _last_words
    _last_words = f"raicho: {identity} ends: it gets no more memory\n".encode()
    sys.unraisablehook = _unraisable
    threading.excepthook = _in_thread
    asyncio.get_running_loop().set_exception_handler(_in_loop)


def end_if_exhausted(error: BaseException | None) -> None:
    """End an armed process if *error* is a want of memory; allocates nothing."""
    if isinstance(error, MemoryError) and _last_words:
        os.write(2, _last_words)
        os._exit(EXIT_CODE)


def _unraisable(unraisable: Any) -> None:
    end_if_exhausted(unraisable.exc_value)
    sys.__unraisablehook__(unraisable)


def _in_thread(args: Any) -> None:
    end_if_exhausted(args.exc_value)
    threading.__excepthook__(args)


def _in_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    end_if_exhausted(context.get("exception"))
    loop.default_exception_handler(context)
