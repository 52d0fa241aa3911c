"""The OpenFlow codec: runs the layouts of the specification over bytes."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

_C = TypeVar("_C", bound=type)
_T = TypeVar("_T")
_Reason = tuple[int, int]
_Bytes = bytes | bytearray | memoryview

class _FieldRow(Protocol):
    """What the codec must know of a match field."""

    @property
    def name(self) -> str: ...
    @property
    def oxm_class(self) -> int: ...
    @property
    def oxm(self) -> int: ...
    @property
    def size(self) -> int: ...

class Part: ...

class OxmTable:
    def __init__(
        self,
        rows: Iterable[_FieldRow],
        oxm: Callable[[str, int, int | None], object],
        raw: Callable[[int, int, bytes, bytes | None, int | None], object],
        *,
        bad_type: _Reason,
        bad_len: _Reason,
        bad_field: _Reason,
    ) -> None: ...

class Layout:
    cls: type
    family: Family | None
    code: int | None
    names: tuple[str | None, ...]
    bad_len: _Reason
    typed: bool
    def parts(self) -> tuple[tuple[str, str, int, Any], ...]: ...

class Family:
    name: str
    codes: dict[int, Layout]
    fallback: Layout | None
    bad_type: _Reason
    bad_len: _Reason
    bare: bool
    align: int
    pad: int
    def __init__(
        self,
        name: str,
        *,
        bad_type: _Reason,
        bad_len: _Reason,
        align: int = 1,
        pad: int = 1,
        bare: bool = False,
    ) -> None: ...
    def row(self, code: int | tuple[int, ...] | None, *parts: str | Part) -> Callable[[_C], _C]: ...

def rest() -> Part: ...
def match(table: OxmTable) -> Part: ...
def oxm(table: OxmTable) -> Part: ...
def oxm_ids(cls: Callable[[int, int | None], object]) -> Part: ...
def many(what: Family | type) -> Part: ...
def one(cls: type) -> Part: ...
def body(family: Family) -> Part: ...
def record(*parts: str | Part, bad_len: _Reason) -> Callable[[_C], _C]: ...
def pack(messages: Family, message: Any, xid: int = 0, version: int = 4) -> bytes: ...
def unpack(messages: Family, data: _Bytes) -> tuple[Any, int]: ...
def pack_part(item: Any) -> bytes: ...
def unpack_part(cls: type[_T], data: _Bytes) -> _T: ...
def unpack_elements(family: Family, data: _Bytes) -> tuple[Any, ...]: ...
