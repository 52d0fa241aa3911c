"""Replacing a file as a whole: whatever happens, there is the old one or the new one."""

import contextlib
import fcntl
import os
from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Write *text* to *path* so that it is on disk when this returns.

    The new file is written beside the old one and renamed: readers, and a crash
    at any moment, meet one of them whole.  What a crash leaves beside it is
    used again by the next save.  A link is followed; mode and owner stay.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.new")
    fd = _own(draft)
    try:
        os.ftruncate(fd, 0)
        with open(fd, "wb", closefd=False) as file:
            file.write(text.encode("utf-8"))
        _take_after(fd, target)
        os.fsync(fd)
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        raise
    finally:
        os.close(fd)
    _sync(target.parent)


def _own(draft: Path) -> int:
    """Open the draft for us alone; another save that had it may have renamed it meanwhile."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(draft, flags, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(draft)):
                return fd
        os.close(fd)


def _take_after(fd: int, old: Path) -> None:
    """Give the new file the mode and the owner of the one that it replaces."""
    try:
        was = old.stat()
    except FileNotFoundError:
        return
    with contextlib.suppress(PermissionError):  # not ours to give away
        os.fchown(fd, was.st_uid, was.st_gid)
    os.fchmod(fd, was.st_mode & 0o777)


def _sync(folder: Path) -> None:
    """Make a rename last."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
