"""The OpenFlow codec: runs the layouts of the specification over bytes.

A *layout* says how one class of the specification lies on the wire.  It is a
list of parts, in order: strings of format letters for what has a fixed size,
and Part objects for what has not.

    B H I Q   unsigned integer of 1, 2, 4, 8 bytes
    6s        6 bytes; text without its trailing NULs if the attribute is a str
    4x        4 bytes of zeros
    L         (2 bytes) size of this very record; not an attribute
    N         (2 bytes) size of the next variable part; not an attribute
    T         (2 bytes) selects the class of the body that follows; not an attribute

A *family* is a set of classes that a number tells apart: messages, actions,
instructions and so on.  Its elements carry a header of type and length, except
in families that are bare (messages, multipart bodies), whose header is the
business of what contains them.

Sizes are checked once for each run of fixed parts; nothing is read outside
what the enclosing length allows, and nothing is allocated that the input does
not pay for.  Whatever is wrong is a RemoteError with the (type, code) of the
specification and the offset in the message.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

import re

import msgspec

from .errors import RemoteError

cdef Py_ssize_t HEADER = 8
cdef Py_ssize_t MAX_SIZE = 0xFFFF
cdef int ONF_CLASS = 0x8000  # set in the classes of the specification, not in others'

cdef enum Kind:
    CHECK          # 'size' bytes must be there
    UINT           # an integer of 'size' bytes
    RAW            # 'size' bytes
    TEXT           # 'size' bytes, padded with NULs
    PAD            # 'size' zeros
    OWN_SIZE
    REGION_SIZE
    SELECTOR
    REST           # bytes up to the end
    MATCH          # type, length, OXMs, zeros up to a multiple of 8
    OXM            # one OXM, zeros up to the end
    OXM_IDS        # OXM headers up to the end
    ELEMENTS       # elements of a family up to the end
    RECORDS        # records of one layout up to the end
    RECORD         # one record
    BODY           # what the selector says

cdef struct Op:
    Kind kind
    Py_ssize_t size

cdef dict LETTERS = {
    "B": (UINT, 1), "H": (UINT, 2), "I": (UINT, 4), "Q": (UINT, 8),
    "L": (OWN_SIZE, 2), "N": (REGION_SIZE, 2), "T": (SELECTOR, 2),
}
cdef dict KINDS = {
    UINT: "uint", RAW: "bytes", TEXT: "text", REST: "rest", MATCH: "match", OXM: "oxm",
    OXM_IDS: "oxm_ids", ELEMENTS: "elements", RECORDS: "records", RECORD: "record", BODY: "body",
}
cdef set NAMELESS = {CHECK, PAD, OWN_SIZE, REGION_SIZE, SELECTOR}


# ---------------------------------------------------------------- big endian

cdef inline uint64_t load(const uint8_t *p, Py_ssize_t size) noexcept nogil:
    cdef uint64_t value = 0
    cdef Py_ssize_t i
    for i in range(size):
        value = value << 8 | p[i]
    return value


cdef inline void store(uint8_t *p, Py_ssize_t size, uint64_t value) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size - 1, -1, -1):
        p[i] = value & 0xFF
        value >>= 8


cdef inline Py_ssize_t aligned(Py_ssize_t size, Py_ssize_t to) noexcept nogil:
    return (size + to - 1) // to * to


cdef class Out:
    """Bytes that grow."""

    cdef uint8_t *data
    cdef Py_ssize_t size, room

    def __cinit__(self):
        self.room = 256
        self.data = <uint8_t *>PyMem_Malloc(self.room)
        if self.data == NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef uint8_t *extend(self, Py_ssize_t size) except NULL:
        cdef uint8_t *data
        cdef Py_ssize_t room = self.room
        if self.size + size > room:
            while self.size + size > room:
                room *= 2
            data = <uint8_t *>PyMem_Realloc(self.data, room)
            if data == NULL:
                raise MemoryError
            self.data, self.room = data, room
        data = self.data + self.size
        self.size += size
        return data

    cdef int zeros(self, Py_ssize_t size) except -1:
        if size > 0:
            memset(self.extend(size), 0, size)
        return 0

    cdef int append(self, bytes value) except -1:
        if value:
            memcpy(self.extend(len(value)), <const uint8_t *>value, len(value))
        return 0

    cdef int uint(self, Py_ssize_t size, object value, str name) except -1:
        cdef uint64_t number
        if value < 0 or value.bit_length() > 8 * size:
            raise OverflowError(f"{name} {value} does not fit into {8 * size} bits")
        number = value
        store(self.extend(size), size, number)
        return 0

    cdef int patch(self, Py_ssize_t at, Py_ssize_t value) except -1:
        if value > MAX_SIZE:
            raise ValueError(f"{value} bytes are more than a length of 16 bits can say")
        store(self.data + at, 2, value)
        return 0


# -------------------------------------------------------------------- OXMs

cdef class OxmTable:
    """How match fields lie on the wire: *rows* have name, oxm_class, oxm and size.

    A field of a row becomes Oxm(name, value, mask), another one RawOxm(oxm_class, field,
    value, mask, experimenter), unless it is of a class of ONF's that has rows.
    """

    cdef dict by_code, by_name
    cdef set classes
    cdef object oxm, raw
    cdef tuple bad_type, bad_len, bad_field

    def __init__(self, rows, oxm, raw, *, bad_type, bad_len, bad_field):
        self.by_code = {(r.oxm_class, r.oxm): (r.name, r.size) for r in rows}
        self.by_name = {r.name: (r.oxm_class, r.oxm, r.size) for r in rows}
        self.classes = {r.oxm_class for r in rows if r.oxm_class & ONF_CLASS}
        self.oxm, self.raw = oxm, raw
        self.bad_type, self.bad_len, self.bad_field = bad_type, bad_len, bad_field

    cdef object take(self, const uint8_t *p, Py_ssize_t *at, Py_ssize_t end):
        """Read one OXM at *at*, and move *at* behind it."""
        cdef Py_ssize_t start = at[0], size, half
        cdef int oxm_class, field
        cdef bint masked
        if end - start < 4:
            raise RemoteError("match field cut short", self.bad_len, start)
        oxm_class = <int>load(p + start, 2)
        field = p[start + 2] >> 1
        masked = p[start + 2] & 1
        size = p[start + 3]
        if size > end - start - 4:
            raise RemoteError(f"match field of {size} bytes", self.bad_len, start)
        at[0] = start + 4 + size
        row = self.by_code.get((oxm_class, field))
        if row is None:
            return self.take_raw(p, start, size, oxm_class, field, masked)
        half = row[1]
        if size != (2 * half if masked else half):
            raise RemoteError(f"{row[0]} of {size} bytes", self.bad_len, start)
        value = number(p + start + 4, half)
        return self.oxm(row[0], value, number(p + start + 4 + half, half) if masked else None)

    cdef object take_raw(self, const uint8_t *p, Py_ssize_t start, Py_ssize_t size,
                         int oxm_class, int field, bint masked):
        cdef Py_ssize_t body = start + 4, half
        cdef object experimenter = None
        if oxm_class in self.classes:
            raise RemoteError(f"unknown match field {oxm_class:#x}/{field}", self.bad_field, start)
        if oxm_class == 0xFFFF:
            if size < 4:
                raise RemoteError("no experimenter id", self.bad_len, start)
            experimenter = load(p + body, 4)
            body, size = body + 4, size - 4
        if masked and size % 2:
            raise RemoteError(f"value and mask of {size} bytes", self.bad_len, start)
        half = size // 2 if masked else size
        value = raw(p + body, half)
        mask = raw(p + body + half, half) if masked else None
        return self.raw(oxm_class, field, value, mask, experimenter)

    cdef tuple take_all(self, const uint8_t *p, Py_ssize_t at, Py_ssize_t end):
        cdef list found = []
        while at < end:
            found.append(self.take(p, &at, end))
        return tuple(found)

    cdef tuple take_match(self, const uint8_t *p, Py_ssize_t *at, Py_ssize_t end):
        cdef Py_ssize_t start = at[0], size
        if end - start < 8:
            raise RemoteError("match cut short", self.bad_len, start)
        if load(p + start, 2) != 1:
            raise RemoteError(f"match of type {load(p + start, 2)}", self.bad_type, start)
        size = <Py_ssize_t>load(p + start + 2, 2)
        if size < 4 or aligned(size, 8) > end - start:
            raise RemoteError(f"match of {size} bytes", self.bad_len, start)
        at[0] = start + aligned(size, 8)
        return self.take_all(p, start + 4, start + size)

    cdef int put(self, Out out, object item) except -1:
        cdef bytes head
        if type(item) is self.oxm:
            oxm_class, field, half = self.by_name[item.name]
            value = item.value.to_bytes(half, "big")
            mask = b"" if item.mask is None else item.mask.to_bytes(half, "big")
            head = b""
        else:
            oxm_class, field, value = item.oxm_class, item.field, item.value
            mask = b"" if item.mask is None else item.mask
            head = b"" if item.experimenter is None else item.experimenter.to_bytes(4, "big")
        out.uint(2, oxm_class, "oxm_class")
        out.uint(1, field << 1 | (item.mask is not None), "field")
        out.uint(1, len(head) + len(value) + len(mask), "size of a match field")
        out.append(head)
        out.append(value)
        out.append(mask)
        return 0

    cdef int put_match(self, Out out, object items) except -1:
        cdef Py_ssize_t start = out.size
        store(out.extend(2), 2, 1)
        out.zeros(2)
        for item in items:
            self.put(out, item)
        out.patch(start + 2, out.size - start)
        out.zeros(aligned(out.size - start, 8) - (out.size - start))
        return 0


cdef object number(const uint8_t *p, Py_ssize_t size):
    if size <= 8:
        return load(p, size)
    return (<object>load(p, size - 8)) << 64 | load(p + size - 8, 8)


cdef bytes raw(const uint8_t *p, Py_ssize_t size):
    return PyBytes_FromStringAndSize(<const char *>p, size)


# ------------------------------------------------------------------- layouts

cdef class Part:
    """A part of a layout that has no fixed size; made by the functions below."""

    cdef Kind kind
    cdef object what

    def __repr__(self):
        return f"Part({self.kind}, {self.what!r})"


cdef Part part(Kind kind, object what=None):
    cdef Part made = Part()
    made.kind, made.what = kind, what
    return made


def rest():
    """Return the part that takes all bytes that are left."""
    return part(REST)


def match(table):
    """Return the part that is a whole ofp_match."""
    return part(MATCH, table)


def oxm(table):
    """Return the part that is one OXM, padded to 8 bytes."""
    return part(OXM, table)


def oxm_ids(cls):
    """Return the part that is a list of OXM headers; cls(header, experimenter)."""
    return part(OXM_IDS, cls)


def many(what):
    """Return the part that is a list of elements of a family, or of records."""
    return part(ELEMENTS if isinstance(what, Family) else RECORDS, what)


def one(cls):
    """Return the part that is one record of class *cls*."""
    return part(RECORD, cls)


def body(family):
    """Return the part whose class the letter T before it selects."""
    return part(BODY, family)


cdef class Layout:
    """How the attributes of one class lie on the wire."""

    cdef readonly object cls
    cdef readonly object family         # None for a record
    cdef readonly object code           # in its family; None if an attribute says
    cdef readonly tuple names           # the attribute of each operation, or None
    cdef tuple objects                  # the argument of each operation, or None
    cdef readonly tuple bad_len
    cdef readonly bint typed                     # the first attribute is the type
    cdef bint sized                     # it carries its own size
    cdef int n_ops
    cdef int n_values
    cdef Op *ops

    def __init__(self, cls, parts, bad_len, family=None, code=None, typed=False):
        types = {f.name: f.type for f in msgspec.structs.fields(cls)}
        attributes = list(cls.__struct_fields__)[1 if typed else 0:]
        self.n_values = len(cls.__struct_fields__)
        self.cls, self.bad_len, self.family, self.code = cls, bad_len, family, code
        self.typed = typed
        ops, names, objects = [], [], []
        for kind, size, what in checked(flat(parts)):
            name = None if kind in NAMELESS else attributes.pop(0)
            if kind == RAW and types[name] is str:
                kind = TEXT
            ops.append((kind, size))
            names.append(name)
            objects.append(what)
        if attributes:
            raise TypeError(f"{cls.__name__}: no wire format for {', '.join(attributes)}")
        self.sized = any(kind == OWN_SIZE for kind, _ in ops)
        self.names, self.objects = tuple(names), tuple(objects)
        self.n_ops = len(ops)
        self.ops = <Op *>PyMem_Malloc(max(1, len(ops)) * sizeof(Op))
        if self.ops == NULL:
            raise MemoryError
        for i, (kind, size) in enumerate(ops):
            self.ops[i].kind, self.ops[i].size = kind, size

    def __dealloc__(self):
        PyMem_Free(self.ops)

    def __repr__(self):
        return f"Layout({self.cls.__name__})"

    def parts(self):
        """Return (attribute, kind, size, what) of each part that is an attribute."""
        return tuple(
            (self.names[i], KINDS[self.ops[i].kind], self.ops[i].size, self.objects[i])
            for i in range(self.n_ops) if self.names[i] is not None
        )


cdef list flat(parts):
    """Turn parts into (kind, size, what)."""
    cdef list found = []
    for item in parts:
        if isinstance(item, Part):
            found.append(((<Part>item).kind, 0, (<Part>item).what))
            continue
        if not re.fullmatch(r"(\d*[xs]|[BHIQLNT])*", item):
            raise TypeError(f"bad wire format {item!r}")
        for count, letter in re.findall(r"(\d*)([a-zA-Z])", item):
            if letter in LETTERS:
                found.append((*LETTERS[letter], None))
            else:
                found.append((PAD if letter == "x" else RAW, int(count or 1), None))
    return found


cdef list checked(list parts):
    """Put one CHECK before each run of parts that have a fixed size."""
    cdef list found = []
    cdef object run = None
    for kind, size, what in parts:
        if size == 0:
            run = None
        elif run is None:
            run = len(found)
            found.append((CHECK, size, None))
        else:
            found[run] = (CHECK, found[run][1] + size, None)
        found.append((kind, size, what))
    return found


cdef class Family:
    """Classes that a number tells apart; see the top of the file.

    *align*: every element is a multiple of that many bytes.  *pad*: zeros fill
    up to that many bytes behind every element, and its length does not count
    them.  *opened*: the header type is the class's first attribute, and numbers
    that nobody registered are taken by the class registered with None.
    """

    cdef readonly str name
    cdef readonly dict codes
    cdef readonly tuple bad_type, bad_len
    cdef readonly Py_ssize_t align, pad
    cdef readonly bint bare
    cdef readonly Layout fallback

    def __init__(self, name, *, bad_type, bad_len, align=1, pad=1, bare=False):
        self.name, self.codes, self.bare = name, {}, bare
        self.bad_type, self.bad_len = bad_type, bad_len
        self.align, self.pad = align, pad

    def __repr__(self):
        return f"Family({self.name})"

    def row(self, code, *parts):
        """Register a class under *code*: a number, several, or None for all others.

        Unless there is exactly one number, its first attribute is the type.
        """
        def register(cls):
            typed = not isinstance(code, int)
            layout = Layout(cls, parts, self.bad_len, self, None if typed else code, typed)
            cls.layout = layout
            if code is None:
                self.fallback = layout
                return cls
            for each in code if typed else (code,):
                if each in self.codes:
                    raise TypeError(f"{self.name} {each} is already {self.codes[each]}")
                self.codes[each] = layout
            return cls
        return register

    cdef Layout find(self, int code, Py_ssize_t at):
        cdef Layout found = self.codes.get(code, self.fallback)
        if found is None:
            raise RemoteError(f"unknown {self.name} {code}", self.bad_type, at)
        return found


def record(*parts, bad_len):
    """Register a class that no number tells apart; *bad_len* is the reason for a bad size."""
    def register(cls):
        cls.layout = Layout(cls, parts, bad_len)
        return cls
    return register


# -------------------------------------------------------------------- unpack

cdef object take(Layout layout, const uint8_t *p, Py_ssize_t *position, Py_ssize_t end, int code):
    """Read one object at *position*, and move that behind it; *end* is the limit."""
    cdef Py_ssize_t start = position[0], at = start, size, region = -1
    cdef int i, selector = 0
    cdef Op *op
    cdef list values = []
    if layout.typed:
        values.append(code)
    for i in range(layout.n_ops):
        op = layout.ops + i
        size = op.size
        if op.kind == CHECK:
            if end - at < size:
                raise too_short(layout, at)
            continue
        elif op.kind == UINT:
            values.append(load(p + at, size))
        elif op.kind == RAW:
            values.append(raw(p + at, size))
        elif op.kind == TEXT:
            values.append(raw(p + at, size).rstrip(b"\0").decode("utf-8", "surrogateescape"))
        elif op.kind == OWN_SIZE:
            region = <Py_ssize_t>load(p + at, 2)
            if region > end - start or start + region < at + size:
                raise RemoteError(f"{layout.cls.__name__} of {region} bytes", layout.bad_len, at)
            end = start + region
            region = -1
        elif op.kind == REGION_SIZE:
            region = <Py_ssize_t>load(p + at, 2)
        elif op.kind == SELECTOR:
            selector = <int>load(p + at, 2)
        elif op.kind != PAD:
            if at > end:
                raise too_short(layout, at)
            values.append(take_variable(layout, i, p, &at, end, region, selector))
            region = -1
            continue
        at += size
    if layout.sized and at != end:
        raise RemoteError(f"{layout.cls.__name__} of {end - start} bytes", layout.bad_len, start)
    position[0] = at
    return layout.cls(*values)


cdef object take_variable(Layout layout, int i, const uint8_t *p, Py_ssize_t *at, Py_ssize_t end,
                          Py_ssize_t region, int selector):
    cdef Kind kind = layout.ops[i].kind
    cdef object what = layout.objects[i]
    cdef Py_ssize_t start = at[0]
    if region >= 0:
        if region > end - start:
            raise RemoteError(f"list of {region} bytes", layout.bad_len, start)
        end = start + region
    if kind == MATCH:
        return (<OxmTable>what).take_match(p, at, end)
    if kind == RECORD:
        return take(what.layout, p, at, end, 0)
    if kind == BODY:
        return take_exactly((<Family>what).find(selector, start - HEADER), p, at, end, selector)
    if kind == OXM:
        found = (<OxmTable>what).take(p, at, end)
        if end - at[0] >= 8:
            raise RemoteError(f"{end - at[0]} bytes of padding", layout.bad_len, start)
    elif kind == OXM_IDS:
        found = take_oxm_ids(layout, what, p, start, end)
    elif kind == ELEMENTS:
        found = take_elements(what, p, start, end)
    elif kind == RECORDS:
        found = take_records(what.layout, p, start, end)
    else:
        found = raw(p + start, end - start)
    at[0] = end
    return found


cdef object take_exactly(Layout layout, const uint8_t *p, Py_ssize_t *at, Py_ssize_t end, int code):
    """Read an object that must reach up to *end*."""
    cdef Py_ssize_t start = at[0]
    found = take(layout, p, at, end, code)
    if at[0] != end:
        raise RemoteError(f"{layout.cls.__name__} of {end - start} bytes", layout.bad_len, start)
    return found


cdef tuple take_elements(Family family, const uint8_t *p, Py_ssize_t at, Py_ssize_t end):
    cdef list found = []
    cdef Py_ssize_t size, inner
    cdef int code
    while at < end:
        if end - at < 4:
            raise RemoteError(f"{family.name} cut short", family.bad_len, at)
        code = <int>load(p + at, 2)
        size = <Py_ssize_t>load(p + at + 2, 2)
        if size < 4 or size % family.align or aligned(size, family.pad) > end - at:
            raise RemoteError(f"{family.name} {code} of {size} bytes", family.bad_len, at)
        inner = at + 4
        found.append(take_exactly(family.find(code, at), p, &inner, at + size, code))
        at += aligned(size, family.pad)
    return tuple(found)


cdef tuple take_records(Layout layout, const uint8_t *p, Py_ssize_t at, Py_ssize_t end):
    cdef list found = []
    while at < end:
        found.append(take(layout, p, &at, end, 0))
    return tuple(found)


cdef tuple take_oxm_ids(Layout layout, cls, const uint8_t *p, Py_ssize_t at, Py_ssize_t end):
    cdef list found = []
    cdef Py_ssize_t size
    while at < end:
        size = 8 if end - at >= 4 and load(p + at, 2) == 0xFFFF else 4
        if end - at < size:
            raise too_short(layout, at)
        found.append(cls(load(p + at, 4), load(p + at + 4, 4) if size == 8 else None))
        at += size
    return tuple(found)


cdef object too_short(Layout layout, Py_ssize_t at):
    return RemoteError(f"{layout.cls.__name__} cut short", layout.bad_len, at)


# ---------------------------------------------------------------------- pack

cdef int put(Out out, object item, Py_ssize_t start) except -1:
    """Append *item*; *start* is where its header began."""
    cdef Layout layout = item.layout
    cdef Py_ssize_t own = -1, region = -1, selector = -1, before
    cdef Op *op
    cdef int i
    for i in range(layout.n_ops):
        op = layout.ops + i
        if op.kind == CHECK:
            continue
        elif op.kind == UINT:
            out.uint(op.size, getattr(item, layout.names[i]), layout.names[i])
        elif op.kind == RAW or op.kind == TEXT:
            put_bytes(out, op, getattr(item, layout.names[i]), layout.names[i])
        elif op.kind == PAD:
            out.zeros(op.size)
        elif op.kind == OWN_SIZE:
            own = out.size
            out.zeros(2)
        elif op.kind == REGION_SIZE:
            region = out.size
            out.zeros(2)
        elif op.kind == SELECTOR:
            selector = out.size
            out.zeros(2)
        else:
            before = out.size
            put_variable(out, op.kind, layout.objects[i], getattr(item, layout.names[i]), start,
                         selector)
            if region >= 0:
                out.patch(region, out.size - before)
                region = -1
    if own >= 0:
        out.patch(own, out.size - start)
    return 0


cdef int put_bytes(Out out, Op *op, object value, str name) except -1:
    cdef bytes data
    if op.kind == TEXT:
        data = value.encode("utf-8", "surrogateescape")
    else:
        data = value
    if len(data) > op.size or (op.kind == RAW and len(data) != op.size):
        raise ValueError(f"{name} {value!r} does not fill {op.size} bytes")
    out.append(data)
    return out.zeros(op.size - len(data))


cdef int put_variable(Out out, Kind kind, object what, object value, Py_ssize_t start,
                      Py_ssize_t selector) except -1:
    if kind == MATCH:
        (<OxmTable>what).put_match(out, value)
    elif kind == RECORD:
        put(out, value, out.size)
    elif kind == BODY:
        out.patch(selector, code_of(value))
        put(out, value, out.size)
    elif kind == OXM:
        (<OxmTable>what).put(out, value)
        out.zeros(aligned(out.size - start, 8) - (out.size - start))
    elif kind == OXM_IDS:
        for each in value:
            out.uint(4, each.header, "header")
            if each.experimenter is not None:
                out.uint(4, each.experimenter, "experimenter")
    elif kind == ELEMENTS:
        for each in value:
            put_element(out, each)
    elif kind == RECORDS:
        for each in value:
            put(out, each, out.size)
    else:
        out.append(value)
    return 0


cdef int put_element(Out out, object item) except -1:
    cdef Family family = (<Layout>item.layout).family
    cdef Py_ssize_t start = out.size, size
    out.uint(2, code_of(item), "type")
    out.zeros(2)
    put(out, item, start)
    size = out.size - start
    if size % family.align:
        raise ValueError(f"{item!r} takes {size} bytes, no multiple of {family.align}")
    out.patch(start + 2, size)
    return out.zeros(aligned(size, family.pad) - size)


cdef object code_of(object item):
    cdef Layout layout = item.layout
    return item.type if layout.typed else layout.code


# ---------------------------------------------------------------- public API

def pack(Family messages, message, xid=0, version=4):
    """Return *message* as it goes on the wire, header included."""
    cdef Out out = Out()
    out.uint(1, version, "version")
    out.uint(1, code_of(message), "type")
    out.zeros(2)
    out.uint(4, xid, "xid")
    put(out, message, 0)
    out.patch(2, out.size)
    return raw(out.data, out.size)


def unpack(Family messages, const uint8_t[::1] data not None):
    """Return (message, xid) from the bytes of one whole message.

    Raise RemoteError if it is not exactly that.
    """
    cdef Py_ssize_t size = data.shape[0], at = HEADER
    cdef const uint8_t *p
    cdef Layout layout
    if size < HEADER:
        raise RemoteError(f"message of {size} bytes", messages.bad_len, 0)
    p = &data[0]
    if <Py_ssize_t>load(p + 2, 2) != size:
        raise RemoteError(f"message of {size} bytes says {load(p + 2, 2)}", messages.bad_len, 2)
    layout = messages.find(p[1], 1)
    return take_exactly(layout, p, &at, size, p[1]), load(p + 4, 4)


def pack_part(item):
    """Return a part of a message: a record, an element with its header, or a bare body."""
    cdef Out out = Out()
    cdef Layout layout = item.layout
    if layout.family is None or (<Family>layout.family).bare:
        put(out, item, 0)
    else:
        put_element(out, item)
    return raw(out.data, out.size)


def unpack_part(cls, const uint8_t[::1] data not None):
    """Return the record or bare body of class *cls* that *data* is."""
    cdef Py_ssize_t at = 0
    cdef const uint8_t *p = &data[0] if data.shape[0] else <const uint8_t *>b""
    cdef Layout layout = cls.layout
    return take_exactly(layout, p, &at, data.shape[0], 0)


def unpack_elements(Family family, const uint8_t[::1] data not None):
    """Return the elements of *family* that *data* is a list of."""
    if data.shape[0] == 0:
        return ()
    return take_elements(family, &data[0], 0, data.shape[0])
