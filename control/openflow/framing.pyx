"""Whole buffers of OpenFlow messages at once: where they begin, which failed, which are wanted,
and the messages that set again what statistics and descriptions tell.

Everything here looks at headers only and costs a few nanoseconds a message, so
that a stream of a hundred thousand flow-mods is a few calls from Python.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

cdef enum:
    HEADER = 8
    COPY = 64                   # bytes of the offending message in an error
    ERROR_HEADER = HEADER + 4
    ERROR_TYPE = 1
    EXPERIMENTER = 0xFFFF       # type of errors that say whose they are
    RAICHO = 0x00524348         # and whose those of the dataplane are
    PACKET_OUT = 13
    FLOW_MOD = 14
    FLOW_FIXED = 48             # bytes before the match, of a flow-mod and of flow statistics
    CHECK_OVERLAP = 2           # a flag of flow-mods

RUN = -1
BAD_VERSION = -2
BAD_SIZE = -3
DONE = 0xFFFFFFFF


cdef inline Py_ssize_t size_of(const uint8_t *p) noexcept nogil:
    return p[2] << 8 | p[3]


cdef inline uint32_t little(const uint8_t *p) noexcept nogil:
    return p[0] | p[1] << 8 | p[2] << 16 | <uint32_t>p[3] << 24


def scan(const uint8_t[::1] data not None, int version, bytes groupable not None):
    """Find the whole messages in *data*; return them and where the rest begins.

    Each is (kind, start, end, count).  Messages that follow one another and
    whose type is non-zero in *groupable* (256 bytes) are one item of kind RUN.
    A message of another version is BAD_VERSION.  A message that says it is
    shorter than its header is BAD_SIZE and the last: nothing after it can be
    found.
    """
    cdef Py_ssize_t at = 0, end = data.shape[0], size, start = 0, count = 0
    cdef const uint8_t *p
    cdef const uint8_t *group = <const uint8_t *>PyBytes_AS_STRING(groupable)
    cdef list found = []
    if len(groupable) != 256:
        raise ValueError("groupable must have 256 bytes")
    if end == 0:
        return found, 0
    p = &data[0]
    while end - at >= HEADER:
        size = size_of(p + at)
        if size < HEADER:
            end = at
            break
        if size > end - at:
            break
        if p[at] == version and group[p[at + 1]]:
            if count == 0:
                start = at
            count += 1
        else:
            if count:
                found.append((RUN, start, at, count))
                count = 0
            kind = p[at + 1] if p[at] == version else BAD_VERSION
            found.append((kind, at, at + size, 1))
        at += size
    if count:
        found.append((RUN, start, at, count))
    if at == end and end < data.shape[0]:
        found.append((BAD_SIZE, at, at, 0))
    return found, at


cdef Py_ssize_t copied(Py_ssize_t size) noexcept nogil:
    return size if size < COPY else COPY


cdef Py_ssize_t error_size(uint32_t result, const uint8_t *p) noexcept nogil:
    """Return the size of the error about the message at *p*."""
    return ERROR_HEADER + (4 if result >> 16 == EXPERIMENTER else 0) + copied(size_of(p))


cdef Py_ssize_t failed_size(const uint8_t *p, Py_ssize_t end, const uint8_t *results,
                            Py_ssize_t n_results, uint32_t missing) noexcept nogil:
    """Return the size of the error messages that failures() will make."""
    cdef Py_ssize_t at = 0, i = 0, total = 0
    cdef uint32_t result
    while at < end:
        result = little(results + 4 * i) if i < n_results else missing
        if result != <uint32_t>0xFFFFFFFF:
            total += error_size(result, p + at)
        at += size_of(p + at)
        i += 1
    return total


def failures(const uint8_t[::1] run not None, const uint8_t[::1] results not None,
             uint32_t missing):
    """Return the error messages for a run, from one little-endian result for each.

    A result is DONE, or error type << 16 | code; *missing* stands for results
    that are not there.  Errors of an experimenter's are raicho's own.
    """
    cdef Py_ssize_t end = run.shape[0], n_results = results.shape[0] // 4
    cdef Py_ssize_t at = 0, i = 0, size, copy, total
    cdef const uint8_t *p
    cdef const uint8_t *r = &results[0] if n_results else NULL
    cdef uint8_t *out
    cdef uint32_t result
    if not whole(run):
        raise ValueError("not a sequence of whole messages")
    if end == 0:
        return b""
    p = &run[0]
    total = failed_size(p, end, r, n_results, missing)
    made = PyBytes_FromStringAndSize(NULL, total)
    out = <uint8_t *>PyBytes_AS_STRING(made)
    while at < end:
        size = size_of(p + at)
        result = little(r + 4 * i) if i < n_results else missing
        if result != <uint32_t>0xFFFFFFFF:
            copy = copied(size)
            total = error_size(result, p + at)
            out[0], out[1] = p[at], ERROR_TYPE
            out[2], out[3] = total >> 8, total & 0xFF
            memcpy(out + 4, p + at + 4, 4)
            out[8], out[9] = result >> 24, result >> 16 & 0xFF
            out[10], out[11] = result >> 8 & 0xFF, result & 0xFF
            if result >> 16 == EXPERIMENTER:
                out[12], out[13] = RAICHO >> 24, RAICHO >> 16 & 0xFF
                out[14], out[15] = RAICHO >> 8 & 0xFF, RAICHO & 0xFF
            memcpy(out + total - copy, p + at, copy)
            out += total
        at += size
        i += 1
    return made


cdef bint whole(const uint8_t[::1] data) noexcept:
    """Whether *data* is whole messages and nothing else."""
    cdef Py_ssize_t at = 0, end = data.shape[0]
    while end - at >= HEADER:
        if size_of(&data[at]) < HEADER:
            return False
        at += size_of(&data[at])
    return at == end


def select(bytes data not None, int kind, Py_ssize_t offset, uint32_t mask):
    """Return the messages of *kind* whose reason, the byte at *offset*, is a bit of *mask*.

    The result is (bytes, how many).  *data* is a sequence of whole messages.
    """
    cdef Py_ssize_t at = 0, end = len(data), size, kept = 0, count = 0
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef uint8_t *out
    made = PyBytes_FromStringAndSize(NULL, end)
    out = <uint8_t *>PyBytes_AS_STRING(made)
    memset(out, 0, end)
    while end - at >= HEADER:
        size = size_of(p + at)
        if size < HEADER or size > end - at:
            raise ValueError(f"message of {size} bytes")
        if p[at + 1] == kind and size > offset and p[at + offset] < 32 \
                and mask >> p[at + offset] & 1:
            memcpy(out + kept, p + at, size)
            kept += size
            count += 1
        at += size
    return (made if kept == end else made[:kept]), count


def count(bytes data not None):
    """Return how many messages *data* is a sequence of."""
    cdef Py_ssize_t at = 0, end = len(data), found = 0
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    while end - at >= HEADER and size_of(p + at) >= HEADER:
        at += size_of(p + at)
        found += 1
    return found


def lasting(bytes data not None):
    """Return the messages of *data* but those that are done once they are: packet-outs."""
    cdef Py_ssize_t at = 0, end = len(data), kept = 0
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef uint8_t *out
    if not any_of(p, end, PACKET_OUT):
        return data
    made = PyBytes_FromStringAndSize(NULL, end)
    out = <uint8_t *>PyBytes_AS_STRING(made)
    while end - at >= HEADER and size_of(p + at) >= HEADER:
        if p[at + 1] != PACKET_OUT:
            memcpy(out + kept, p + at, size_of(p + at))
            kept += size_of(p + at)
        at += size_of(p + at)
    return made[:kept]


cdef bint any_of(const uint8_t *p, Py_ssize_t end, int kind) noexcept nogil:
    """Whether one of the messages is of a kind."""
    cdef Py_ssize_t at = 0
    while end - at >= HEADER and size_of(p + at) >= HEADER:
        if p[at + 1] == kind:
            return True
        at += size_of(p + at)
    return False


def flow_mods(bytes stats not None, uint32_t elapsed):
    """Return the flow-mods that add the entries of a body of flow statistics again.

    They are *elapsed* seconds old: hard timeouts get shorter by their age, and what has timed
    out by now is left out.  Counters begin anew, overlaps are not looked for.
    """
    cdef Py_ssize_t at = 0, end = len(stats), size, kept = 0
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(stats)
    cdef uint8_t *out
    cdef int64_t hard
    made = PyBytes_FromStringAndSize(NULL, end)
    out = <uint8_t *>PyBytes_AS_STRING(made)
    while end - at >= FLOW_FIXED:
        size = p[at] << 8 | p[at + 1]
        if size < FLOW_FIXED or size > end - at:
            raise ValueError(f"flow statistics of {size} bytes")
        hard = p[at + 16] << 8 | p[at + 17]
        if hard:
            hard -= <int64_t>elapsed + big(p + at + 4)
        if hard > 0 or not (p[at + 16] or p[at + 17]):
            make_flow_mod(out + kept, p + at, size, <uint32_t>hard)
            kept += size
        at += size
    return made if kept == end else made[:kept]


cdef uint32_t big(const uint8_t *p) noexcept nogil:
    return <uint32_t>p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]


cdef void make_flow_mod(uint8_t *out, const uint8_t *entry, Py_ssize_t size,
                        uint32_t hard) noexcept nogil:
    """Write struct ofp_flow_mod for a struct ofp_flow_stats, which is just as long."""
    memset(out, 0, FLOW_FIXED)
    out[0], out[1] = 4, FLOW_MOD
    out[2], out[3] = size >> 8, size & 0xFF
    memcpy(out + 8, entry + 24, 8)              # cookie
    out[24] = entry[2]                          # table
    memcpy(out + 26, entry + 14, 2)             # idle timeout
    out[28], out[29] = hard >> 8, hard & 0xFF
    memcpy(out + 30, entry + 12, 2)             # priority
    memset(out + 32, 0xFF, 12)                  # no buffer, any port and group
    memcpy(out + 44, entry + 18, 2)             # flags
    out[45] &= ~CHECK_OVERLAP
    memcpy(out + FLOW_FIXED, entry + FLOW_FIXED, size - FLOW_FIXED)


def mods(bytes descriptions not None, int kind):
    """Return the group-mods or meter-mods, by *kind*, that add what a body describes.

    A description is its length and what such a message has behind its command.
    """
    cdef Py_ssize_t at = 0, end = len(descriptions), size, whole_size
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(descriptions)
    cdef list found = []
    while end - at >= HEADER:
        size = p[at] << 8 | p[at + 1]
        whole_size = size + HEADER
        if size < HEADER or size > end - at or whole_size > 0xFFFF:
            raise ValueError(f"description of {size} bytes")
        found.append(bytes((4, kind, whole_size >> 8, whole_size & 0xFF, 0, 0, 0, 0, 0, 0)))
        found.append(descriptions[at + 2:at + size])
        at += size
    return b"".join(found)
