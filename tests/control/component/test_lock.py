"""Who looks which process has an identity keeps none from taking it."""

import fcntl
import threading
from pathlib import Path

import pytest

from raicho.control.component import AlreadyRunning, Lock, holder


def test_looking_never_keeps_anybody_from_taking_an_identity(tmp_path: Path) -> None:
    """M17, C11: a status that is asked for while a component starts does not end it."""
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            holder(tmp_path, "a")

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(2000):
            Lock(tmp_path, "a").release()
    finally:
        done.set()
        for looker in lookers:
            looker.join()


def test_a_holder_that_does_not_say_who_it_is_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """M17: as one that was stopped before it had written its PID."""
    with (tmp_path / "a.pid").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning, match=f"a runs already in {tmp_path}$"):
            Lock(tmp_path, "a")
    Lock(tmp_path, "a").release()
