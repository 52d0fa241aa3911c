"""Messages of rtnetlink(7), decoded.

Numbers are in the byte order of the host, addresses and labels in that of the network.  A message
is a header of 16 bytes, a fixed part that its type has, and attributes: size, type and value,
aligned to four bytes.  Nothing outside of a message's size is read, whatever it says.

A table of routes is many messages that differ in the prefix only.  They are compared, and not read
one by one.

Reference: rtnetlink(7), linux/rtnetlink.h, linux/nexthop.h; RFC 3032 (label stack)
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from ..message.routes import LABEL, LABEL_LENGTH, LEAST_LABEL, MAX_HOPS, MAX_LABELS, Hop, Kind
from .events import NO_TABLE, Done, Link, Neighbour, NextHop, Route, Routes

cdef enum:
    HEADER = 16
    LENGTH_AT = 17              # of a route's prefix, behind the header and the family
    PREFIX_AT = 32              # if it is the first attribute of a route
    N_ATTRIBUTES = 64           # types that are looked at are below
    TYPE_MASK = 0x3FFF
    DUMP_INTERRUPTED = 0x10
    CLONED = 0x200              # a route that the kernel made of another
    INET = 2
    INET6 = 10
    AF_MPLS = 28
    MPLS = 1                    # LWTUNNEL_ENCAP_MPLS
    MPLS_DST = 1                # MPLS_IPTUNNEL_DST
    BOTTOM = 0x100              # of a label stack
    IFF_UP = 0x1
    IFF_LOWER_UP = 0x10000

cdef enum:
    ERROR = 2
    DONE = 3
    NEW_LINK = 16
    DEL_LINK = 17
    NEW_ROUTE = 24
    DEL_ROUTE = 25
    NEW_NEIGHBOUR = 28
    DEL_NEIGHBOUR = 29
    NEW_NEXT_HOP = 104
    DEL_NEXT_HOP = 105

cdef enum:
    RTA_DST = 1
    RTA_OIF = 4
    RTA_GATEWAY = 5
    RTA_PRIORITY = 6
    RTA_MULTIPATH = 9
    RTA_TABLE = 15
    RTA_VIA = 18
    RTA_NEWDST = 19
    RTA_ENCAP_TYPE = 21
    RTA_ENCAP = 22
    RTA_NH_ID = 30

    NHA_ID = 1
    NHA_GROUP = 2
    NHA_BLACKHOLE = 4
    NHA_OIF = 5
    NHA_GATEWAY = 6
    NHA_ENCAP_TYPE = 7
    NHA_ENCAP = 8

    IFLA_ADDRESS = 1
    IFLA_IFNAME = 3
    IFLA_MTU = 4

    NDA_DST = 1
    NDA_LLADDR = 2

# What a route's type makes of its packets; broadcast, multicast and the like are not routed.
cdef dict KINDS = {1: None, 2: Kind.LOCAL, 6: Kind.BLACKHOLE, 7: Kind.UNREACHABLE, 8: Kind.PROHIBIT}
cdef object GATEWAY = Kind.GATEWAY, LINK = Kind.LINK, RECURSIVE = Kind.RECURSIVE
cdef object BLACKHOLE = Kind.BLACKHOLE
cdef tuple HERE = (Hop(Kind.LOCAL),)
cdef Py_ssize_t max_hops = MAX_HOPS, max_labels = MAX_LABELS
cdef uint8_t label_family = LABEL, label_length = LABEL_LENGTH
cdef uint32_t least_label = LEAST_LABEL

cdef struct Span:
    const uint8_t *at           # null: it is not there
    Py_ssize_t size


class _Malformed(Exception):
    """A message that contradicts itself."""


cdef inline uint16_t u16(const uint8_t *at) noexcept:
    cdef uint16_t value
    memcpy(&value, at, sizeof(value))
    return value


cdef inline uint32_t u32(const uint8_t *at) noexcept:
    cdef uint32_t value
    memcpy(&value, at, sizeof(value))
    return value


cdef inline uint32_t big_endian(const uint8_t *at) noexcept:
    return <uint32_t>at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]


def decode(bytes data not None, list events not None):
    cdef Tally tally

    tally.ignored, tally.malformed, tally.route = 0, 0, NULL
    take(<const uint8_t *>PyBytes_AS_STRING(data), len(data), events, &tally)
    return tally.ignored, tally.malformed


cdef int take(const uint8_t *at, Py_ssize_t left, list events, Tally *tally) except -1:
    """Add what messages say; *tally* goes on from call to call as long as their bytes stay."""
    cdef Py_ssize_t size
    while left > 0:
        size = u32(at) if left >= HEADER else 0
        if size < HEADER or size > left:
            tally.malformed += 1
            break
        if tally.route != NULL and is_alike(tally.route, at, size):
            add_alike(at, events)
        else:
            take_one(at, size, events, tally)
        size = min(left, (size + 3) & ~3)
        at += size
        left -= size
    return 0


cdef int take_one(const uint8_t *at, Py_ssize_t size, list events, Tally *tally) except -1:
    try:
        event = message(at, size)
    except _Malformed:
        tally.malformed += 1
        return 0
    if event is None:
        tally.ignored += 1
        return 0
    events.append(event)
    tally.route = at if type(event) is Route and begins_with_prefix(at, size) else NULL
    return 0


cdef bint begins_with_prefix(const uint8_t *at, Py_ssize_t size) noexcept:
    """Return whether the first attribute of a route is its prefix."""
    cdef int width = 4 if at[HEADER] == INET else 16
    return (size >= PREFIX_AT + width and u16(at + PREFIX_AT - 4) == 4 + width
            and u16(at + PREFIX_AT - 2) & TYPE_MASK == RTA_DST)


cdef bint is_alike(const uint8_t *route, const uint8_t *at, Py_ssize_t size) noexcept:
    """Return whether a message differs from a route's in sequence number and prefix only."""
    cdef int width = 4 if route[HEADER] == INET else 16
    cdef Py_ssize_t rest = PREFIX_AT + width
    return (u32(route) == size and at[LENGTH_AT] <= 8 * width
            and not memcmp(route + 4, at + 4, 4)
            and not memcmp(route + 12, at + 12, LENGTH_AT - 12)
            and not memcmp(route + LENGTH_AT + 1, at + LENGTH_AT + 1, PREFIX_AT - LENGTH_AT - 1)
            and not memcmp(route + rest, at + rest, size - rest))


cdef int add_alike(const uint8_t *at, list events) except -1:
    """Add the prefix of a message to the last event."""
    cdef uint8_t key[18]
    cdef int width = 4 if at[HEADER] == INET else 16
    memset(key, 0, sizeof(key))
    key[0], key[1] = 4 if at[HEADER] == INET else 6, at[LENGTH_AT]
    memcpy(key + 2, at + PREFIX_AT, width)
    found = PyBytes_FromStringAndSize(<const char *>key, sizeof(key))
    last = events[len(events) - 1]
    if type(last) is Routes:
        (<list>last[1]).append(found)
    else:
        events[len(events) - 1] = Routes(last, [last.key, found])
    return 0


cdef object message(const uint8_t *at, Py_ssize_t size):
    cdef uint16_t kind = u16(at + 4)
    cdef const uint8_t *body = at + HEADER
    size -= HEADER
    if kind == NEW_ROUTE or kind == DEL_ROUTE:
        return route(kind == DEL_ROUTE, body, size)
    if kind == NEW_NEXT_HOP or kind == DEL_NEXT_HOP:
        return next_hop(kind == DEL_NEXT_HOP, body, size)
    if kind == NEW_NEIGHBOUR or kind == DEL_NEIGHBOUR:
        return neighbour(kind == DEL_NEIGHBOUR, body, size)
    if kind == NEW_LINK or kind == DEL_LINK:
        return link(kind == DEL_LINK, body, size)
    if kind == DONE or kind == ERROR:
        interrupted = bool(u16(at + 6) & DUMP_INTERRUPTED)
        return Done(u32(at + 8), -(<int>u32(body)) if size >= 4 else 0, interrupted)
    return None


cdef object attributes(const uint8_t *at, Py_ssize_t left, Span *spans):
    """Find the attributes in *left* bytes."""
    cdef Py_ssize_t size
    cdef uint16_t kind
    memset(spans, 0, N_ATTRIBUTES * sizeof(Span))
    while left >= 4:
        size = u16(at)
        if size < 4 or size > left:
            raise _Malformed
        kind = u16(at + 2) & TYPE_MASK
        if kind < N_ATTRIBUTES:
            spans[kind].at = at + 4
            spans[kind].size = size - 4
        size = min(left, (size + 3) & ~3)
        at += size
        left -= size


cdef uint32_t number(const Span *span) except? 0xFFFFFFFF:
    """Return the value of an attribute of four bytes, 0 if it is not there."""
    if span.at == NULL:
        return 0
    if span.size != 4:
        raise _Malformed
    return u32(span.at)


cdef bytes text(const Span *span):
    """Return the value of an attribute, or nothing."""
    return PyBytes_FromStringAndSize(<const char *>span.at, span.size) if span.at != NULL else b""


cdef bytes ip(const Span *span):
    """Return an address of 4 or 16 bytes, or nothing."""
    if span.at != NULL and span.size != 4 and span.size != 16:
        raise _Malformed
    return text(span)


cdef bytes gateway(const Span *own, const Span *via):
    """Return the next router's address, of the route's family or of another (RTA_VIA)."""
    cdef Span inner
    if own.at != NULL:
        return ip(own)
    if via.at == NULL:
        return b""
    if via.size < 2:
        raise _Malformed
    inner.at, inner.size = via.at + 2, via.size - 2
    return ip(&inner)


cdef tuple labels(const Span *kind, const Span *encapsulation):
    """Return the labels to push, the outermost first; other encapsulations are not known."""
    cdef Span spans[N_ATTRIBUTES]
    if encapsulation.at == NULL:
        return ()
    if kind.at == NULL or kind.size != 2 or u16(kind.at) != MPLS:
        raise _Malformed
    attributes(encapsulation.at, encapsulation.size, spans)
    if spans[MPLS_DST].at == NULL:
        raise _Malformed
    return stack_of(&spans[MPLS_DST])


cdef tuple stack_of(const Span *stack):
    """Return the labels of a stack, the outermost first; none where there is none."""
    cdef const uint8_t *at
    cdef Py_ssize_t n
    cdef uint32_t entry
    if stack.at == NULL:
        return ()
    if stack.size & 3 or stack.size > 4 * max_labels:
        raise _Malformed
    found = []
    for n in range(stack.size // 4):
        at = stack.at + 4 * n
        entry = big_endian(at)
        found.append(entry >> 12)
        if entry & BOTTOM:
            break
    return tuple(found)


cdef object hop(uint32_t interface, bytes router, unsigned weight, tuple stack):
    if router:
        return Hop(GATEWAY if interface else RECURSIVE, interface, router, weight, stack)
    return Hop(LINK, interface, b"", weight, stack)


cdef object route(bint removed, const uint8_t *at, Py_ssize_t size):
    cdef Span spans[N_ATTRIBUTES]
    cdef uint8_t key[18]
    cdef Py_ssize_t bytes_of_family
    cdef uint32_t table
    if size < 12:
        raise _Malformed
    if at[0] == AF_MPLS:
        return label_route(removed, at, size)
    if (at[0] != INET and at[0] != INET6) or at[2] or at[3] or u32(at + 8) & CLONED:
        return None
    if at[7] not in KINDS and not (removed and not at[7]):
        return None
    bytes_of_family = 4 if at[0] == INET else 16
    attributes(at + 12, size - 12, spans)
    memset(key, 0, sizeof(key))
    key[0], key[1] = 4 if at[0] == INET else 6, at[1]
    if at[1] > 8 * bytes_of_family:
        raise _Malformed
    if spans[RTA_DST].at != NULL:
        if spans[RTA_DST].size != bytes_of_family:
            raise _Malformed
        memcpy(key + 2, spans[RTA_DST].at, bytes_of_family)
    table = number(&spans[RTA_TABLE]) or at[4]
    return Route(
        removed,
        PyBytes_FromStringAndSize(<const char *>key, sizeof(key)),
        table,
        at[5],
        number(&spans[RTA_PRIORITY]),
        number(&spans[RTA_NH_ID]),
        hops(KINDS.get(at[7]), spans),
    )


cdef object label_route(bint removed, const uint8_t *at, Py_ssize_t size):
    """Read what becomes of packets with a label: a route without its family's table.

    Special-purpose labels have a meaning of their own and need no route.
    """
    cdef Span spans[N_ATTRIBUTES]
    cdef uint8_t key[18]
    cdef uint32_t label
    attributes(at + 12, size - 12, spans)
    if at[1] != label_length or spans[RTA_DST].at == NULL or spans[RTA_DST].size != 4:
        raise _Malformed
    if at[7] != 1 and not removed:
        return None
    label = big_endian(spans[RTA_DST].at) >> 12
    if label < least_label:
        return None
    memset(key, 0, sizeof(key))
    key[0], key[1] = label_family, label_length
    key[3], key[4], key[5] = label >> 16, label >> 8 & 0xFF, label & 0xFF
    found = () if spans[RTA_NH_ID].at != NULL else label_hops(spans)
    return Route(
        removed,
        PyBytes_FromStringAndSize(<const char *>key, sizeof(key)),
        NO_TABLE,
        at[5],
        number(&spans[RTA_PRIORITY]),
        number(&spans[RTA_NH_ID]),
        found,
    )


cdef tuple label_hops(const Span *spans):
    """Return where a label leads: it ends where no other router is named."""
    cdef uint32_t interface = number(&spans[RTA_OIF])
    if spans[RTA_MULTIPATH].at != NULL:
        return tuple([
            each if each.gateway else HERE[0]
            for each in multipath(spans[RTA_MULTIPATH].at, spans[RTA_MULTIPATH].size)
        ])
    cdef bytes router = gateway(&spans[RTA_GATEWAY], &spans[RTA_VIA])
    if not router:
        return HERE
    return (hop(interface, router, 1, stack_of(&spans[RTA_NEWDST])),)


cdef tuple hops(object kind, const Span *spans):
    """Return the next hops that a route has itself."""
    cdef uint32_t interface = number(&spans[RTA_OIF])
    if kind is not None:
        return (Hop(kind, interface),)
    if spans[RTA_MULTIPATH].at != NULL:
        return multipath(spans[RTA_MULTIPATH].at, spans[RTA_MULTIPATH].size)
    cdef bytes router = gateway(&spans[RTA_GATEWAY], &spans[RTA_VIA])
    if not interface and not router:
        return ()
    return (hop(interface, router, 1, labels(&spans[RTA_ENCAP_TYPE], &spans[RTA_ENCAP])),)


cdef tuple multipath(const uint8_t *at, Py_ssize_t left):
    cdef Span spans[N_ATTRIBUTES]
    cdef Py_ssize_t size
    found = []
    while left > 0:
        size = u16(at) if left >= 8 else 0
        if size < 8 or size > left or len(found) == max_hops:
            raise _Malformed
        attributes(at + 8, size - 8, spans)
        stack = labels(&spans[RTA_ENCAP_TYPE], &spans[RTA_ENCAP]) or stack_of(&spans[RTA_NEWDST])
        router = gateway(&spans[RTA_GATEWAY], &spans[RTA_VIA])
        found.append(hop(u32(at + 4), router, at[3] + 1, stack))
        size = min(left, (size + 3) & ~3)
        at += size
        left -= size
    return tuple(found)


cdef object next_hop(bint removed, const uint8_t *at, Py_ssize_t size):
    cdef Span spans[N_ATTRIBUTES]
    cdef Span none
    cdef uint32_t ident
    if size < 8:
        raise _Malformed
    attributes(at + 8, size - 8, spans)
    ident = number(&spans[NHA_ID])
    if not ident:
        raise _Malformed
    if removed:
        return NextHop(True, ident, None, ())
    if spans[NHA_GROUP].at != NULL:
        return NextHop(False, ident, None, members(&spans[NHA_GROUP]))
    if spans[NHA_BLACKHOLE].at != NULL:
        return NextHop(False, ident, Hop(BLACKHOLE), ())
    none.at, none.size = NULL, 0
    router = gateway(&spans[NHA_GATEWAY], &none)
    stack = labels(&spans[NHA_ENCAP_TYPE], &spans[NHA_ENCAP])
    return NextHop(False, ident, hop(number(&spans[NHA_OIF]), router, 1, stack), ())


cdef tuple members(const Span *group):
    """Return ids and weights: the group has eight bytes a member."""
    cdef Py_ssize_t i
    if group.size & 7 or group.size > 8 * max_hops:
        raise _Malformed
    return tuple([
        (u32(group.at + 8 * i), group.at[8 * i + 4] + 1) for i in range(group.size // 8)
    ])


cdef object link(bint removed, const uint8_t *at, Py_ssize_t size):
    cdef Span spans[N_ATTRIBUTES]
    cdef uint32_t flags
    if size < 16:
        raise _Malformed
    if at[0]:                   # a bridge's view of its ports
        return None
    attributes(at + 16, size - 16, spans)
    name = text(&spans[IFLA_IFNAME]).rstrip(b"\0").decode("utf-8", "replace")
    flags = u32(at + 8)
    return Link(
        removed,
        u32(at + 4),
        name,
        bool(flags & IFF_UP),
        bool(flags & IFF_LOWER_UP),
        number(&spans[IFLA_MTU]),
        text(&spans[IFLA_ADDRESS]),
    )


cdef object neighbour(bint removed, const uint8_t *at, Py_ssize_t size):
    cdef Span spans[N_ATTRIBUTES]
    if size < 12:
        raise _Malformed
    if at[0] != INET and at[0] != INET6:
        return None
    attributes(at + 12, size - 12, spans)
    where = ip(&spans[NDA_DST])
    if not where:
        return None
    mac = text(&spans[NDA_LLADDR])
    return Neighbour(removed, u32(at + 4), where, u16(at + 8), at[10], mac)
