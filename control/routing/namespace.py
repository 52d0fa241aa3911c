"""Sockets in other network namespaces: a socket stays where it was made."""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

NAMESPACES = Path("/run/netns")  # where ip-netns(8) keeps them
CLONE_NEWNET = 0x40000000

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)


def inside(namespace: str, make: Callable[[], T]) -> T:
    """Return what *make* makes in a namespace; "" is the one that we are in.

    setns(2) moves a thread, so it is one that ends here.
    """
    if not namespace:
        return make()

    def enter() -> T:
        with (NAMESPACES / namespace).open("rb") as file:
            if _libc.setns(file.fileno(), CLONE_NEWNET):
                error = ctypes.get_errno()
                raise OSError(error, os.strerror(error), str(NAMESPACES / namespace))
        return make()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(enter).result()
