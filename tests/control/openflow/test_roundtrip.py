"""Whatever the specification can say comes back from the wire as it was."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raicho.control.openflow.codec import Family, Layout
from raicho.control.openflow.spec import (
    FAMILIES,
    pack,
    pack_part,
    unpack,
    unpack_elements,
    unpack_part,
)
from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.families import MESSAGES
from raicho.control.openflow.spec.match import FIELDS, Field, Oxm, OxmId, RawOxm
from raicho.control.openflow.spec.messages import EchoRequest, PortMod

MAX_LIST = 3
FOREIGN_CLASSES = st.integers(0, 0xFFFE).filter(lambda code: code != 0x8000)


def uint(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << 8 * size) - 1)


def as_text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "surrogateescape")


def known_oxm(field: Field) -> st.SearchStrategy[Oxm]:
    return st.builds(Oxm, st.just(field.name), uint(field.size), st.none() | uint(field.size))


@st.composite
def raw_oxms(draw: st.DrawFn) -> RawOxm:
    experimenter = draw(st.none() | uint(4))
    value = draw(st.binary(max_size=16))
    mask = draw(st.none() | st.binary(min_size=len(value), max_size=len(value)))
    oxm_class = 0xFFFF if experimenter is not None else draw(FOREIGN_CLASSES)
    return RawOxm(oxm_class, draw(st.integers(0, 127)), value, mask, experimenter)


OXMS = st.one_of(*map(known_oxm, FIELDS), raw_oxms())
OXM_IDS = st.builds(OxmId, st.integers(0, 0xFFFEFFFF)) | st.builds(
    OxmId, st.integers(0xFFFF0000, 0xFFFFFFFF), uint(4)
)


def lists(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=MAX_LIST).map(tuple)


def rests(layout: Layout) -> st.SearchStrategy[bytes]:
    """Bytes at the end; in an element, a multiple of what the element must be."""
    align = layout.family.align if layout.family else 1
    return st.integers(0, 3).flatmap(lambda n: st.binary(min_size=n * align, max_size=n * align))


def attribute(layout: Layout, kind: str, size: int, what: Any) -> st.SearchStrategy[Any]:
    made: dict[str, Any] = {
        "uint": lambda: uint(size),
        "bytes": lambda: st.binary(min_size=size, max_size=size),
        "text": lambda: st.binary(max_size=size).map(as_text),
        "rest": lambda: rests(layout),
        "match": lambda: lists(OXMS),
        "oxm": lambda: OXMS,
        "oxm_ids": lambda: lists(OXM_IDS),
        "elements": lambda: lists(members(what)),
        "records": lambda: lists(items(what.layout)),
        "record": lambda: items(what.layout),
        "body": lambda: members(what),
    }
    return made[kind]()


def types_of(layout: Layout) -> st.SearchStrategy[int]:
    assert layout.family is not None
    codes = layout.family.codes
    if layout is layout.family.fallback:
        return uint(2).filter(lambda code: code not in codes)
    return st.sampled_from([code for code, each in codes.items() if each is layout])


def items(layout: Layout) -> st.SearchStrategy[Any]:
    """Anything that a layout can carry."""
    named = {
        name: st.deferred(lambda k=kind, s=size, w=what: attribute(layout, k, s, w))
        for name, kind, size, what in layout.parts()
    }
    if layout.typed:
        named["type"] = types_of(layout)
    return st.builds(layout.cls, **named)


def layouts_of(family: Family) -> list[Layout]:
    found = list(dict.fromkeys(family.codes.values()))
    return [*found, family.fallback] if family.fallback else found


def members(family: Family) -> st.SearchStrategy[Any]:
    return st.one_of(*map(items, layouts_of(family)))


@pytest.mark.parametrize("layout", layouts_of(MESSAGES), ids=lambda layout: layout.cls.__name__)
def test_every_message_comes_back(layout: Layout) -> None:
    """K16: encode, decode, equal."""

    @settings(max_examples=25)
    @given(items(layout), uint(4))
    def check(message: Any, xid: int) -> None:
        assert unpack(pack(message, xid)) == (message, xid)

    check()


@pytest.mark.parametrize(
    "layout",
    [layout for family in FAMILIES if family is not MESSAGES for layout in layouts_of(family)],
    ids=lambda layout: layout.cls.__name__,
)
def test_every_part_comes_back(layout: Layout) -> None:
    """K16: each class on its own, so that none is missed by chance."""
    family = layout.family
    assert family is not None

    @settings(max_examples=25)
    @given(items(layout))
    def check(item: Any) -> None:
        data = pack_part(item)
        if family.bare:
            assert unpack_part(layout.cls, data) == item
        else:
            assert int.from_bytes(data[2:4], "big") <= len(data)
            assert unpack_elements(family, data) == (item,)

    check()


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError, match="port 4294967296 does not fit into 32 bits"):
        pack_part(Output(1 << 32))
    with pytest.raises(OverflowError, match="port -1"):
        pack_part(Output(-1))
    with pytest.raises(ValueError, match="hw_addr"):
        pack(PortMod(1, b"short"))


def test_a_message_that_is_too_long_is_refused() -> None:
    assert len(pack(EchoRequest(bytes(65527)))) == 65535
    with pytest.raises(ValueError, match="65536 bytes"):
        pack(EchoRequest(bytes(65528)))
