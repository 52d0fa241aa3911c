"""The match fields, read from the table in cext/field.h."""

from typing import NamedTuple

from raicho.cext.field cimport N_FIELDS, field_table


class Field(NamedTuple):
    name: str
    oxm_class: int
    number: int
    bits: int
    size: int
    maskable: bool
    settable: bool


def _read(unsigned i):
    row = field_table[i]
    cdef object name = row.name.decode()
    return Field(name, row.oxm_class, row.oxm_field, row.bits, row.size, bool(row.maskable),
                 bool(row.settable))


FIELDS = {field.name: field for field in map(_read, range(N_FIELDS))}
