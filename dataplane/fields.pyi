"""The match fields, read from the table in cext/field.h."""

from typing import NamedTuple

class Field(NamedTuple):
    """One match field of OpenFlow."""

    name: str
    oxm_class: int
    number: int
    bits: int  # width
    size: int  # bytes on the wire
    maskable: bool
    settable: bool

FIELDS: dict[str, Field]
