"""Routers: the Python face of cext/router.h."""

cimport cython
from libc.errno cimport (
    EADDRNOTAVAIL,
    EEXIST,
    EHOSTUNREACH,
    EINVAL,
    EMSGSIZE,
    ENETDOWN,
    ENOENT,
    ENOSPC,
)
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from raicho.cext.buffer cimport buffer, buffer_close
from raicho.cext.dataplane cimport dataplane_bridge
from raicho.cext.escalation cimport (
    ROUTE_LOCAL,
    ROUTE_NO_ROUTE,
    ROUTE_PROHIBIT,
    ROUTE_RESOLVE,
    ROUTE_SEEN,
    ROUTE_TOO_BIG,
    ROUTE_TTL,
    ROUTE_UNREACHABLE,
    escalation,
    escalation_add,
    escalation_match,
    escalation_remove,
)
from raicho.cext.router cimport (
    INTERFACE_NAME,
    IP_LABEL,
    IP_LABEL_LEN,
    IP_V4,
    IP_V6,
    NAT_SIDE_INSIDE,
    NAT_SIDE_NONE,
    NAT_SIDE_OUTSIDE,
    NEIGHBOUR_RECORD,
    NEXT_HOP_BLACKHOLE,
    NEXT_HOP_GATEWAY,
    NEXT_HOP_LABELS,
    NEXT_HOP_LINK,
    NEXT_HOP_LOCAL,
    NEXT_HOP_PROHIBIT,
    NEXT_HOP_RECURSIVE,
    NEXT_HOP_UNREACHABLE,
    REVERSE_PATH_LOOSE,
    REVERSE_PATH_OFF,
    REVERSE_PATH_STRICT,
    ROUTE_RECORD,
    ROUTE_STATIC,
    ROUTER_MEMBERS_MAX,
    ROUTER_NAME_MAX,
    interface,
    interface_at,
    interface_config,
    ip_prefix,
    ip_read,
    ip_write,
    nd_prefix,
    nd_router,
    next_hop,
    router,
    router_add_address,
    router_add_interface,
    router_begin,
    router_close,
    router_duplicate,
    router_list_groups,
    router_list_neighbours,
    router_list_routes,
    router_message,
    router_neighbour_mod,
    router_next_hop_mod,
    router_open,
    router_put_group,
    router_put_route,
    router_read_host,
    router_remove_address,
    router_remove_group,
    router_remove_interface,
    router_remove_route,
    router_route_mod,
    router_send,
    router_send_message,
    router_set_advertised,
    router_set_host,
    router_set_interface,
    router_set_listening,
    router_set_pipe,
    router_sweep,
)
from raicho.cext.stats cimport counter_read, counter_sum
from raicho.cext.tib cimport TREE_RECORD, router_list_trees, router_tree_mod, tib_begin, tib_sweep

from .datapath cimport Dataplane

import os

cdef enum:
    GROUP_RECORD = 8    # Bytes of a group of next hops at least.
    FRAME_MIN = 14      # Bytes of a frame: an Ethernet header, and what a large packet holds.
    FRAME_MAX = 65536

LOCAL = 0xFFFFFFFE      # The "port" of an interface that is on a bridge itself.
STATIC = ROUTE_STATIC
LABEL, LABEL_LENGTH = IP_LABEL, IP_LABEL_LEN
REVERSE_PATHS = {
    "off": REVERSE_PATH_OFF, "loose": REVERSE_PATH_LOOSE, "strict": REVERSE_PATH_STRICT,
}

NAT_SIDES = {
    "none": NAT_SIDE_NONE, "inside": NAT_SIDE_INSIDE, "outside": NAT_SIDE_OUTSIDE,
}
KINDS = {
    "gateway": NEXT_HOP_GATEWAY, "link": NEXT_HOP_LINK, "recursive": NEXT_HOP_RECURSIVE,
    "blackhole": NEXT_HOP_BLACKHOLE, "unreachable": NEXT_HOP_UNREACHABLE,
    "prohibit": NEXT_HOP_PROHIBIT, "local": NEXT_HOP_LOCAL,
}
REASONS = {
    "local": ROUTE_LOCAL - ROUTE_LOCAL, "resolve": ROUTE_RESOLVE - ROUTE_LOCAL,
    "ttl": ROUTE_TTL - ROUTE_LOCAL, "too-big": ROUTE_TOO_BIG - ROUTE_LOCAL,
    "no-route": ROUTE_NO_ROUTE - ROUTE_LOCAL, "unreachable": ROUTE_UNREACHABLE - ROUTE_LOCAL,
    "prohibit": ROUTE_PROHIBIT - ROUTE_LOCAL, "seen": ROUTE_SEEN - ROUTE_LOCAL,
}
_RESULTS = (
    "", "a length or a field is wrong", "there is no such router", "there is no such interface",
    "there is no such group", "no memory is left", "it is not there", "it is in use",
)

_REASONS = {
    EEXIST: "there is one already", EINVAL: "it is none of a host on a link",
    ENOENT: "there is none",
}
_UNSENT = {
    EINVAL: "the checksum is to be outside of the payload",
    EHOSTUNREACH: "no route leads there, it is not on the link, or it is the router itself",
    ENETDOWN: "the interface is down", EADDRNOTAVAIL: "the interface has no address to send from",
    EMSGSIZE: "it is too long",
}
_NO_SUBSCRIPTION = {
    EINVAL: "it needs a rate and a known reason; a protocol is of IP, a port of TCP, UDP or SCTP",
    ENOENT: "there is none", ENOSPC: "there are as many as may be",
}


cdef int _check(int error, what) except -1:
    if error:
        raise OSError(error, f"{what}: {_REASONS.get(error) or os.strerror(error)}")
    return 0


# Takes records of no fixed size in; a code for each of at most so many.
ctypedef size_t (*modify)(router *, const uint8_t *, size_t, uint8_t *, size_t) noexcept


cdef bytes _modified(router *handle, modify function, const uint8_t[::1] records, size_t least):
    cdef size_t size = records.shape[0], n, most = size // least
    cdef bytearray results = bytearray(4 * most + 1)
    cdef uint8_t[::1] view = results

    n = function(handle, &records[0] if size else NULL, size, &view[0], most)
    del view
    return bytes(results[:4 * n])


@cython.no_gc
cdef class Router:
    cdef object __weakref__
    cdef router *handle         # NULL once it is closed.
    cdef Dataplane dataplane
    cdef readonly str name
    cdef dict bridges           # By index of the interface: what is used stays alive.

    def __cinit__(self, Dataplane dataplane not None, str name not None):
        encoded = name.encode()
        if len(encoded) >= ROUTER_NAME_MAX:
            raise ValueError(f"router {name}: more than {ROUTER_NAME_MAX - 1} bytes of name")
        self.dataplane, self.name, self.bridges = dataplane, name, {}
        self.handle = router_open(dataplane.handle, encoded)
        if self.handle is NULL:
            raise MemoryError

    def __dealloc__(self):
        self._close()

    def close(self):
        self._close()

    cdef void _close(self) noexcept:
        if self.handle is not NULL:
            router_close(self.handle)
            self.handle = NULL
            self.bridges.clear()

    cdef router *_open(self) except NULL:
        if self.handle is NULL:
            raise ValueError(f"router {self.name} is closed")
        return self.handle

    cdef interface_config _config(self, bytes name, settings):
        if len(name) >= INTERFACE_NAME:
            raise ValueError(f"interface {name.decode()}: over {INTERFACE_NAME - 1} bytes of name")
        return interface_config(
            name=name, mtu=settings.mtu, mac=settings.mac, vlan=settings.vlan,
            reverse_path=REVERSE_PATHS[settings.reverse_path], proxy_arp=settings.proxy_arp,
            redirects=settings.redirects, detects=settings.detects,
            nat_side=NAT_SIDES[settings.nat_side], nat=settings.nat, number=settings.number,
            up=settings.up, bridge=NULL, port=0)

    # Interfaces.

    def add_interface(self, str name not None, home not None, uint32_t port, settings not None):
        cdef uint32_t index = 0
        encoded = name.encode()
        cdef interface_config config = self._config(encoded, settings)

        config.bridge = dataplane_bridge(self._open().dataplane, home.index)
        config.port = port
        if config.bridge is NULL:
            raise ValueError(f"interface {name}: bridge {home.name} is closed")
        _check(router_add_interface(self.handle, &config, &index), f"interface {name}")
        self.bridges[index] = home
        return index

    def set_interface(self, uint32_t index, str name not None, settings not None):
        encoded = name.encode()
        cdef interface_config config = self._config(encoded, settings)

        _check(router_set_interface(self._open(), index, &config), f"interface {name}")

    def remove_interface(self, uint32_t index):
        del self.bridges[index]
        router_remove_interface(self._open(), index)

    def add_address(self, uint32_t index, const uint8_t[::1] packed not None, uint8_t length):
        cdef ip_prefix address = _address(packed, length)

        _check(router_add_address(self._open(), index, &address), "address")

    def remove_address(self, uint32_t index, const uint8_t[::1] packed not None, uint8_t length):
        cdef ip_prefix address = _address(packed, length)

        _check(router_remove_address(self._open(), index, &address), "address")

    def duplicates(self, uint32_t index):
        cdef const ip_prefix *each
        cdef uint8_t address[16]
        cdef unsigned i = 0

        found = []
        while (each := router_duplicate(self._open(), index, &i)) is not NULL:
            ip_write(each.family, &each.address, address)
            found.append((<bytes>address[:4 if each.family == 4 else 16], each.len))
        return found

    def set_advertised(self, uint32_t index, told):
        cdef nd_router config
        cdef const uint8_t[::1] view
        cdef unsigned i

        if told is None:
            _check(router_set_advertised(self._open(), index, NULL), "interface")
            return
        settings = told.config
        memset(&config, 0, sizeof(config))
        config.max_interval_ms = settings.max_interval * 1000
        config.min_interval_ms = <uint32_t>(settings.least * 1000)
        config.lifetime_s = settings.router_lifetime
        config.hop_limit = settings.hop_limit
        config.managed, config.other = settings.managed, settings.other
        config.mtu = told.mtu
        config.n_prefixes = len(told.prefixes)
        for i, (packed, length, autonomous) in enumerate(told.prefixes):
            view = packed
            config.prefixes[i] = nd_prefix(
                prefix=_address(view, length), valid_s=settings.valid_lifetime,
                preferred_s=settings.preferred_lifetime, on_link=True, autonomous=autonomous)
        _check(router_set_advertised(self._open(), index, &config), "interface")

    def set_listening(self, uint32_t index, bint listens, uint64_t now_ms):
        _check(router_set_listening(self._open(), index, listens, now_ms), "interface")

    def set_host(self, uint32_t index, int descriptor):
        if index not in self.bridges:
            raise KeyError(f"router {self.name}: no interface {index}")
        router_set_host(self._open(), index, descriptor)

    def read_host(self, uint32_t index):
        if index in self.bridges:
            router_read_host(self._open(), index)

    def interface_state(self, uint32_t index):
        cdef const interface *view
        cdef counter_sum received, sent

        if index not in self.bridges:
            raise KeyError(f"router {self.name}: no interface {index}")
        view = interface_at(&self._open().dataplane.routing, index)
        received = counter_read(&self.handle.dataplane.counters, view.received)
        sent = counter_read(&self.handle.dataplane.counters, view.sent)
        return {
            "up": bool(view.up), "mac": int(view.mac).to_bytes(6, "big"), "mtu": view.mtu,
            "rx_packets": received.packets, "rx_bytes": received.bytes,
            "tx_packets": sent.packets, "tx_bytes": sent.bytes,
        }

    def set_pipe(self, bint pipe):
        router_set_pipe(self._open(), pipe)

    # Static routes.

    def put_static(self, uint32_t id, hops not None, uint8_t family,
                   const uint8_t[::1] packed not None, uint8_t length, uint8_t distance,
                   uint32_t metric):
        cdef next_hop members[ROUTER_MEMBERS_MAX]
        cdef ip_prefix prefix = _prefix(family, packed, length)
        cdef uint32_t n = len(hops), i

        if not 0 < n <= ROUTER_MEMBERS_MAX:
            raise ValueError(f"a route has 1 to {ROUTER_MEMBERS_MAX} next hops, not {n}")
        for i, (kind, interface, address, weight, labels) in enumerate(hops):
            _read_hop(&members[i], kind, interface, address, weight, labels)
        self._refuse(router_put_group(self._open(), STATIC, id, members, n))
        self._refuse(router_put_route(self.handle, STATIC, &prefix, distance, metric, id))

    def remove_static(self, uint32_t id, uint8_t family, const uint8_t[::1] packed not None,
                      uint8_t length):
        cdef ip_prefix prefix = _prefix(family, packed, length)

        self._refuse(router_remove_route(self._open(), STATIC, &prefix))
        self._refuse(router_remove_group(self.handle, STATIC, id))

    cdef int _refuse(self, int result) except -1:
        if result:
            raise ValueError(_RESULTS[result])
        return 0

    # Routes.

    def route_mod(self, const uint8_t[::1] records not None):
        cdef size_t size = records.shape[0], n
        cdef bytearray results = bytearray(4 * (size // ROUTE_RECORD) + 1)
        cdef uint8_t[::1] view = results

        n = router_route_mod(self._open(), &records[0] if size else NULL, size, &view[0])
        del view
        return bytes(results[:4 * n])

    def next_hop_mod(self, const uint8_t[::1] records not None):
        return _modified(self._open(), router_next_hop_mod, records, GROUP_RECORD)

    def neighbour_mod(self, const uint8_t[::1] records not None, uint64_t now_ms):
        cdef size_t size = records.shape[0], n
        cdef bytearray results = bytearray(4 * (size // NEIGHBOUR_RECORD) + 1)
        cdef uint8_t[::1] view = results

        n = router_neighbour_mod(self._open(), &records[0] if size else NULL, size, &view[0],
                                 now_ms)
        del view
        return bytes(results[:4 * n])

    def begin(self, uint8_t source):
        router_begin(self._open(), source)

    def sweep(self, uint8_t source):
        return router_sweep(self._open(), source)

    def routes(self, uint8_t source, uint32_t cursor, uint32_t limit):
        cdef buffer out = buffer(data=NULL, len=0, size=0, failed=False)

        try:
            router_list_routes(self._open(), source, &cursor, limit, &out)
            return cursor, _bytes(&out)
        finally:
            buffer_close(&out)

    def groups(self, uint8_t source, uint32_t cursor, uint32_t limit):
        cdef buffer out = buffer(data=NULL, len=0, size=0, failed=False)

        try:
            router_list_groups(self._open(), source, &cursor, limit, &out)
            return cursor, _bytes(&out)
        finally:
            buffer_close(&out)

    def neighbours(self, uint64_t now_ms, uint32_t cursor, uint32_t limit):
        cdef buffer out = buffer(data=NULL, len=0, size=0, failed=False)

        try:
            router_list_neighbours(self._open(), now_ms, &cursor, limit, &out)
            return cursor, _bytes(&out)
        finally:
            buffer_close(&out)

    # Sending.

    def send_message(self, const uint8_t[::1] payload not None, message not None,
                     uint64_t now_ms):
        cdef size_t size = payload.shape[0]
        cdef const uint8_t[::1] destination = message.destination
        cdef const uint8_t[::1] source
        cdef ip_prefix to = _address(destination, 0)
        cdef router_message made = router_message(
            family=to.family, protocol=message.protocol, ttl=message.ttl,
            traffic_class=message.traffic_class, dont_fragment=message.dont_fragment,
            has_source=False, checksum_at=message.checksum_at, interface=message.interface,
            source=to.address, destination=to.address)

        if message.source:
            source = message.source
            made.source, made.has_source = _address(source, 0).address, True
        error = router_send_message(self._open(), &made, &payload[0] if size else NULL, size,
                                    now_ms)
        if error:
            raise OSError(error, _UNSENT.get(error) or os.strerror(error))

    def send_frame(self, uint32_t index, const uint8_t[::1] frame not None):
        cdef size_t size = frame.shape[0]

        if index not in self.bridges:
            raise KeyError(f"router {self.name}: no interface {index}")
        if not FRAME_MIN <= size <= FRAME_MAX:
            raise ValueError(f"a frame has {FRAME_MIN} to {FRAME_MAX} bytes, not {size}")
        if not interface_at(&self._open().dataplane.routing, index).up:
            raise OSError(ENETDOWN, _UNSENT[ENETDOWN])
        router_send(self.handle.dataplane, index, &frame[0], size)

    # Subscriptions.

    def subscribe(self, uint32_t reasons, uint32_t per_second, *, uint16_t eth_type=0,
                  uint8_t protocol=0, uint16_t port=0):
        cdef escalation_match wanted = escalation_match(
            reasons=reasons, eth_type=eth_type, port=port, protocol=protocol)
        cdef uint32_t id = 0

        _check_subscription(escalation_add(self._open(), &wanted, per_second, &id))
        return id

    def unsubscribe(self, uint32_t id):
        _check_subscription(escalation_remove(self._open(), id))

    def subscriptions(self):
        cdef const escalation *each = self._open().escalations
        cdef list rows = []

        while each is not NULL:
            rows.append({
                "id": each.id,
                "reasons": [name for name, bit in REASONS.items() if each.match.reasons >> bit & 1],
                "eth-type": each.match.eth_type or None, "protocol": each.match.protocol or None,
                "port": each.match.port or None, "rate": each.rate.per_second,
                "sent": each.sent, "dropped": each.dropped,
            })
            each = each.next
        return rows

    # Trees.

    def tree_mod(self, const uint8_t[::1] records not None):
        return _modified(self._open(), router_tree_mod, records, TREE_RECORD)

    def put_tree(self, bytes record not None):
        self._refuse(int.from_bytes(self.tree_mod(record), "big"))

    def begin_trees(self, uint8_t source):
        tib_begin(&self._open().tib, source)

    def sweep_trees(self, uint8_t source):
        return tib_sweep(&self._open().tib, source)

    def trees(self, uint8_t source, uint32_t cursor, uint32_t limit):
        cdef buffer out = buffer(data=NULL, len=0, size=0, failed=False)

        try:
            router_list_trees(self._open(), source, &cursor, limit, &out)
            return cursor, _bytes(&out)
        finally:
            buffer_close(&out)

    def counts(self):
        cdef const router *handle = self._open()

        return {"prefixes": handle.rib.n_prefixes - handle.lib.n, "labels": handle.lib.n,
                "routes": handle.rib.n_routes, "next_hops": handle.n_groups,
                "trees": handle.tib.n, "routes_refused": handle.n_refused,
                "members_refused": handle.members_refused}


cdef int _check_subscription(int error) except -1:
    if error:
        raise OSError(error, f"subscription: {_NO_SUBSCRIPTION.get(error) or os.strerror(error)}")
    return 0


cdef ip_prefix _address(const uint8_t[::1] packed, uint8_t length) except *:
    cdef size_t size = packed.shape[0]

    if size not in (4, 16):
        raise ValueError(f"an address has 4 or 16 bytes, not {size}")
    return _prefix(IP_V4 if size == 4 else IP_V6, packed, length)


cdef ip_prefix _prefix(uint8_t family, const uint8_t[::1] packed, uint8_t length) except *:
    if packed.shape[0] != (16 if family == IP_V6 else 4):
        raise ValueError(f"{packed.shape[0]} bytes are no prefix of family {family}")
    return ip_prefix(address=ip_read(family, &packed[0]), family=family, len=length)


cdef int _read_hop(next_hop *hop, str kind, uint32_t index, bytes address, uint16_t weight,
                   labels) except -1:
    cdef ip_prefix gateway
    cdef uint32_t i
    if len(labels) > NEXT_HOP_LABELS:
        raise ValueError(f"a next hop has at most {NEXT_HOP_LABELS} labels, not {len(labels)}")
    hop.kind, hop.interface, hop.weight, hop.family = KINDS[kind], index, weight, 0
    if address:
        gateway = _address(address, 0)
        hop.family, hop.gateway = gateway.family, gateway.address
    for i, label in enumerate(labels):
        hop.labels[i] = label
    hop.n_labels = len(labels)
    return 0


cdef bytes _bytes(buffer *out):
    if out.failed:
        raise MemoryError
    return out.data[:out.len] if out.len else b""
