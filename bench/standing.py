"""What stands while it is measured, and is taken down in every case."""

from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import Self


class Standing(ABC):
    """Something that `with` sets up; what it needs to be taken down is in *_closing*."""

    def __init__(self) -> None:
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.close()

    @abstractmethod
    def _set_up(self) -> None: ...
