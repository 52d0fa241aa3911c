"""Who looks which process has an identity keeps none from taking it."""

import threading
from pathlib import Path

from raicho.control.component import Lock, holder


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
