"""NAT: the Python face of cext/nat.h."""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from raicho.cext.dataplane cimport DATAPLANE_NATS, dataplane_nat, dataplane_set_nat, nat
from raicho.cext.nat cimport (
    NAT_BY_ADDRESS,
    NAT_BY_ENDPOINT,
    NAT_OPEN,
    NAT_TIMER_icmp,
    NAT_TIMER_tcp_closed,
    NAT_TIMER_tcp_established,
    NAT_TIMER_tcp_transitory,
    NAT_TIMER_udp,
    counts_of_nat,
    event_of_nat,
    nat_check,
    nat_close,
    nat_config,
    nat_configure,
    nat_counts,
    nat_end,
    nat_event,
    nat_flush,
    nat_forward,
    nat_host,
    nat_next,
    nat_open,
    nat_pool,
    nat_session,
)

from raicho.cext.router cimport ip_address, ip_prefix, ip_read

from .datapath cimport Dataplane

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import NamedTuple

MAX_NATS = DATAPLANE_NATS
MAX_EVENTS = (1 << 32) - 1
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "sctp": 132}
FILTERINGS = {
    "open": NAT_OPEN, "by-address": NAT_BY_ADDRESS, "by-endpoint": NAT_BY_ENDPOINT,
}
TIMERS = {
    "udp": NAT_TIMER_udp,
    "icmp": NAT_TIMER_icmp,
    "tcp-transitory": NAT_TIMER_tcp_transitory,
    "tcp-established": NAT_TIMER_tcp_established,
    "tcp-closed": NAT_TIMER_tcp_closed,
}

_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_TIMER_NAMES = {number: name for name, number in TIMERS.items()}


class Pool(NamedTuple):
    first: IPv4Address
    last: IPv4Address
    first_port: int = 1024
    last_port: int = 65535
    shared: bool = False


class Forward(NamedTuple):
    protocol: str
    outside: IPv4Address
    outside_port: int
    inside: IPv4Address | IPv6Address
    inside_port: int


class Host(NamedTuple):
    outside: IPv4Address
    inside: IPv4Address


class NatConfig(NamedTuple):
    pools: Sequence[Pool] = ()
    forwards: Sequence[Forward] = ()
    hosts: Sequence[Host] = ()
    max_per_source: int = 0
    block: int = 0
    filtering: str = "open"
    strict_tcp: bool = False
    logs: bool = False
    nat64: IPv6Network | None = None
    source_bits: int = 64
    timers: Mapping[str, int] = {}


class Session(NamedTuple):
    protocol: str
    inside: IPv4Address | IPv6Address
    inside_port: int
    outside: IPv4Address
    outside_port: int
    remote: IPv4Address
    remote_port: int
    timer: str
    idle_ms: int


class Event(NamedTuple):
    at_ms: int
    created: bool
    protocol: str
    inside: IPv4Address | IPv6Address
    inside_port: int
    outside: IPv4Address
    outside_port: int


cdef ip_prefix _prefix(address, length) except *:
    cdef bytes packed = address.packed
    cdef uint8_t family = address.version

    return ip_prefix(address=ip_read(family, packed), family=family, len=length)


cdef _address(ip_address address, bint is_v6):
    if is_v6:
        return IPv6Address(<object> address.word[0] << 64 | address.word[1])
    return IPv4Address(address.word[1])


cdef nat_pool _pool(row) except *:
    return nat_pool(first=int(row.first), last=int(row.last), first_port=row.first_port,
                    last_port=row.last_port, shared=row.shared)


cdef nat_forward _forward(row) except *:
    cdef ip_prefix inside = _prefix(row.inside, row.inside.max_prefixlen)

    return nat_forward(
        outside=int(row.outside), inside=inside.address, outside_port=row.outside_port,
        inside_port=row.inside_port, proto=PROTOCOLS[row.protocol],
        inside_v6=row.inside.version == 6)


cdef int _configure(nat *handle, config, uint64_t now_ms) except -1:
    """Make a NAT what *config* says, or without one say only whether that could be."""
    cdef nat_config made
    cdef int error

    memset(&made, 0, sizeof(made))
    made.n_pools, made.n_forwards = len(config.pools), len(config.forwards)
    made.n_hosts, made.max_per_source = len(config.hosts), config.max_per_source
    made.block, made.strict_tcp = config.block, config.strict_tcp
    made.logs, made.source_bits = config.logs, config.source_bits
    if config.nat64 is not None:
        made.nat64 = _prefix(config.nat64.network_address, config.nat64.prefixlen)
    made.filtering = FILTERINGS[config.filtering]
    for name, seconds in config.timers.items():
        made.timers[<unsigned> TIMERS[name]] = seconds

    cdef nat_pool *pools = <nat_pool *> calloc(made.n_pools + 1, sizeof(nat_pool))
    cdef nat_forward *forwards
    forwards = <nat_forward *> calloc(made.n_forwards + 1, sizeof(nat_forward))
    cdef nat_host *hosts = <nat_host *> calloc(made.n_hosts + 1, sizeof(nat_host))
    cdef char why[256]

    try:
        if pools is NULL or forwards is NULL or hosts is NULL:
            raise MemoryError
        for i, row in enumerate(config.pools):
            pools[<unsigned> i] = _pool(row)
        for i, row in enumerate(config.forwards):
            forwards[<unsigned> i] = _forward(row)
        for i, row in enumerate(config.hosts):
            hosts[<unsigned> i] = nat_host(outside=int(row.outside), inside=int(row.inside))
        made.pools, made.forwards, made.hosts = pools, forwards, hosts
        if handle is NULL:
            error = nat_check(&made, why, sizeof(why))
        else:
            error = nat_configure(handle, &made, now_ms, why, sizeof(why))
        if error:
            raise ValueError(why.decode())
    finally:
        free(pools)
        free(forwards)
        free(hosts)
    return 0


def check(config not None):
    _configure(NULL, config, 0)


@cython.no_gc
cdef class Nat:
    cdef nat *handle            # NULL once it is closed.
    cdef Dataplane dataplane
    cdef readonly uint32_t number

    def __cinit__(self, Dataplane dataplane not None, uint32_t number, *, uint32_t sessions=65536,
                  uint32_t events=0):
        if number >= MAX_NATS:
            raise ValueError(f"NAT {number}: numbers are 0 to {MAX_NATS - 1}")
        if dataplane_nat(dataplane.handle, number) is not NULL:
            raise ValueError(f"NAT {number}: there is one already")
        self.dataplane, self.number = dataplane, number
        self.handle = nat_open(&dataplane.handle.epoch, sessions, events)
        if self.handle is NULL:
            raise MemoryError
        dataplane_set_nat(dataplane.handle, number, self.handle)

    def __dealloc__(self):
        self._close()

    def close(self):
        self._close()

    cdef void _close(self) noexcept:
        if self.handle is not NULL:
            dataplane_set_nat(self.dataplane.handle, self.number, NULL)
            nat_close(self.handle)
            self.handle = NULL

    cdef nat *_open(self) except NULL:
        if self.handle is NULL:
            raise ValueError(f"NAT {self.number} is closed")
        return self.handle

    def configure(self, config not None, uint64_t now_ms):
        _configure(self._open(), config, now_ms)

    def sessions(self, uint64_t position, unsigned limit, uint64_t now_ms):
        cdef nat *handle = self._open()
        cdef nat_session s
        cdef list rows = []

        while limit > 0:
            if not nat_next(handle, &position, now_ms, &s):
                return 0, rows
            rows.append(Session(
                _PROTOCOL_NAMES[s.proto], _address(s.inside, s.inside_v6), s.inside_port,
                IPv4Address(s.outside), s.outside_port, IPv4Address(s.remote), s.remote_port,
                _TIMER_NAMES[s.timer], s.idle_ms))
            limit -= 1
        return position, rows

    def end(self, uint64_t now_ms, str protocol not None, inside not None, uint16_t inside_port,
            remote not None, uint16_t remote_port):
        cdef ip_prefix host = _prefix(inside, inside.max_prefixlen)
        cdef nat_session session = nat_session(
            inside=host.address, inside_v6=inside.version == 6, outside=0, remote=int(remote),
            inside_port=inside_port, outside_port=0, remote_port=remote_port,
            proto=PROTOCOLS[protocol], timer=0, idle_ms=0)

        return bool(nat_end(self._open(), &session, now_ms))

    def counts(self):
        cdef counts_of_nat counts

        nat_counts(self._open(), &counts)
        return dict(counts)

    def events(self, unsigned limit=MAX_EVENTS):
        cdef nat *handle = self._open()
        cdef event_of_nat e
        cdef list rows = []

        while limit > 0 and nat_event(handle, &e):
            limit -= 1
            rows.append(Event(
                e.at_ms, bool(e.created), _PROTOCOL_NAMES[e.proto],
                _address(e.inside, e.inside_v6), e.inside_port, IPv4Address(e.outside),
                e.outside_port))
        return rows

    def flush(self, uint64_t now_ms, inside=None):
        cdef nat *handle = self._open()
        cdef ip_prefix host

        if inside is None:
            return nat_flush(handle, NULL, now_ms)
        host = _prefix(inside, inside.max_prefixlen)
        return nat_flush(handle, &host, now_ms)
