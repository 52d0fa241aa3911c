"""Bridges: the Python face of cext/bridge.h."""

cimport cython
from libc.errno cimport EEXIST, EINVAL
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from raicho.cext.bridge cimport (
    BRIDGE_TABLES,
    LINK_DOWN,
    LINK_LIVE,
    PORT_DOWN,
    attachment,
    bridge,
    bridge_apply_all,
    bridge_apply_bundle,
    bridge_attach_lanes,
    bridge_close,
    bridge_detach,
    bridge_is_closed,
    bridge_snooped,
    bridge_move_lane,
    bridge_multipart,
    bridge_open,
    bridge_port,
    bridge_port_status,
    bridge_queue_config,
    bridge_set_bridging,
    bridge_set_multicast,
    bridge_set_pipeline,
    bridge_set_queues,
    bridge_set_template,
    flow_table,
    joining,
    lane_config,
    multicast,
)
from raicho.cext.buffer cimport buffer, buffer_close
from raicho.cext.dataplane cimport N_PIPELINES, PIPELINE_template, pipeline_names
from raicho.cext.dataplane cimport pipeline as pipeline_kind
from raicho.cext.mac cimport (
    MAC_ANY_VLAN,
    mac_configure,
    mac_each,
    mac_entry,
    mac_fix,
    mac_fixed,
    mac_flush,
)
from raicho.cext.snoop cimport snoop, snoop_each, snoop_entry
from raicho.cext.ofwire cimport OFWIRE_OK
from raicho.cext.queue cimport QUEUES_MAX, queue_config
from raicho.cext.stats cimport counter_read, counter_sum
from raicho.cext.table cimport get_table_stats, table_stats
from raicho.cext.vlan cimport (
    ROUTER_ALWAYS,
    ROUTER_LEARNED,
    ROUTER_NEVER,
    VLAN_ACCESS,
    VLAN_NATIVE_TAGGED,
    VLAN_NATIVE_UNTAGGED,
    VLAN_TRUNK,
    bridging,
    vlan_add,
)

from .datapath cimport Dataplane
from .port cimport Port
from .worker cimport Worker

import os

from .bridging import PLAIN

cdef enum:
    HEADER = 8      # Bytes of an OpenFlow message at least.
    MBIT = 1000000
    MAX_LANES = 64

cdef enum:          # Reasons of a port-status.
    ADDED, DELETED, MODIFIED

_PIPELINES = {pipeline_names[i].decode(): i for i in range(N_PIPELINES)}
_VLAN_MODES = {
    "trunk": VLAN_TRUNK, "access": VLAN_ACCESS,
    "native-tagged": VLAN_NATIVE_TAGGED, "native-untagged": VLAN_NATIVE_UNTAGGED,
}
_ROUTERS = {"learned": ROUTER_LEARNED, "always": ROUTER_ALWAYS, "never": ROUTER_NEVER}
_EVENT_KINDS = {11: "flow_removed", 12: "port_status"}


class OpenFlowError(Exception):
    def __init__(self, code):
        super().__init__(f"OpenFlow error {code >> 16}/{code & 0xFFFF}")
        self.code = code


@cython.no_gc
cdef class Bridge:
    cdef object __weakref__
    cdef bridge *handle         # NULL once it is closed.
    cdef Dataplane dataplane
    cdef readonly str name
    cdef readonly unsigned index
    cdef dict ports             # By number (Port, Worker of each queue): what is used stays alive.
    cdef bint fails_standalone
    cdef readonly uint32_t controllers      # That are connected.
    cdef dict shaping           # (queues, rate) by number of the port.

    def __cinit__(self, Dataplane dataplane not None, str name not None, uint64_t datapath_id,
                  uint64_t now_ms):
        self.dataplane, self.name, self.ports, self.shaping = dataplane, name, {}, {}
        self.handle = bridge_open(dataplane.handle, name.encode(), datapath_id, now_ms)
        if self.handle is NULL:
            raise MemoryError
        self.index = self.handle.index

    def __dealloc__(self):
        self._close()

    def close(self):
        self._close()

    cdef void _close(self) noexcept:
        if self.handle is not NULL:
            for number in list(self.ports):
                self._let_go(number)
            bridge_close(self.handle)
            self.handle = NULL

    cdef bridge *_open(self) except NULL:
        if self.handle is NULL:
            raise ValueError(f"bridge {self.name} is closed")
        return self.handle

    cdef attachment *_find(self, uint32_t number) except NULL:
        attached = bridge_port(self._open(), number)
        if attached is NULL:
            raise KeyError(f"bridge {self.name}: no port {number}")
        return attached

    @property
    def datapath_id(self):
        return self._open().datapath_id

    @datapath_id.setter
    def datapath_id(self, uint64_t datapath_id):
        self._open().datapath_id = datapath_id

    @property
    def max_flows(self):
        return self._open().max_flows

    @max_flows.setter
    def max_flows(self, uint32_t max_flows):
        self._open().max_flows = max_flows

    @property
    def frag_mode(self):
        return self._open().frag_mode

    @frag_mode.setter
    def frag_mode(self, uint32_t frag_mode):
        self._open().frag_mode = frag_mode

    @property
    def miss_send_len(self):
        return self._open().miss_send_len

    @miss_send_len.setter
    def miss_send_len(self, uint16_t miss_send_len):
        self._open().miss_send_len = miss_send_len

    @property
    def standalone(self):
        return bool(self._open().standalone)

    def set_fail_mode(self, bint standalone):
        self.fails_standalone = standalone
        self._open().standalone = standalone and not self.controllers

    def set_controllers(self, uint32_t controllers):
        self.controllers = controllers
        self._open().standalone = self.fails_standalone and not controllers

    @property
    def n_flows(self):
        return self._open().n_flows

    @property
    def flows_refused(self):
        return self._open().flows_refused

    @property
    def events_lost(self):
        return self._open().events_lost

    # Ports.

    def attach(self, Port port not None, uint32_t number, workers, uint64_t now_ms, *,
               bint enabled=True, str pipeline not None="openflow", how=PLAIN):
        cdef attachment *attached
        cdef lane_config lanes[MAX_LANES]
        cdef bridging room
        cdef joining begin = joining(bridging=_bridging(how, &room),
                                     config=0 if enabled else PORT_DOWN)
        cdef unsigned i

        _start(pipeline, &begin)
        port.check_open()
        if port.n_bridges:
            raise ValueError(f"port {port.name} is in a bridge already")
        owners = self._owners(port, workers)
        port.handle.why[0] = 0
        for i in range(port.queues):
            lanes[i] = lane_config(port=&port.handle[i], worker=(<Worker> owners[i]).id)
        error = bridge_attach_lanes(self._open(), lanes, port.queues, number, &begin, now_ms,
                                    &attached)
        if error == EEXIST:
            raise ValueError(f"bridge {self.name}: port number {number} is taken")
        if error == EINVAL and not port.handle.why[0]:
            raise ValueError(f"bridge {self.name}: port number {number} is not in 1..0xffffff00")
        if error:
            why = port.handle.why.decode(errors="replace")
            raise OSError(error, why or os.strerror(error))
        self.ports[number] = port, owners
        port.n_bridges += 1
        for owner in owners:
            (<Worker> owner).n_lanes += 1
        self._note_link(attached, port, None)
        bridge_port_status(self.handle, attached, ADDED)

    cdef list _owners(self, Port port, workers):
        """The worker of each queue of a port."""
        cdef list ids = [workers] * port.queues if isinstance(workers, int) else list(workers)

        if len(ids) != port.queues:
            raise ValueError(f"port {port.name} has {port.queues} queues, and {len(ids)} workers")
        owners = [self.dataplane.workers.get(id) for id in ids]
        if None in owners:
            raise ValueError(f"bridge {self.name}: there is no worker {ids[owners.index(None)]}")
        return owners

    def move(self, uint32_t number, workers):
        cdef attachment *attached = self._find(number)
        cdef list owners
        cdef unsigned i

        port, owners = self.ports[number]
        for i, owner in enumerate(self._owners(port, workers)):
            moved = &attached.lanes[i]
            error = bridge_move_lane(moved, (<Worker> owner).id)
            if error and moved.worker != (<Worker> owner).id:
                raise OSError(error, os.strerror(error))
            (<Worker> owners[i]).n_lanes -= 1
            (<Worker> owner).n_lanes += 1
            owners[i] = owner
            if error:
                raise OSError(error, moved.port.why.decode(errors="replace"))

    def detach(self, uint32_t number):
        bridge_port_status(self.handle, self._find(number), DELETED)
        self._let_go(number)

    cdef void _let_go(self, uint32_t number) noexcept:
        cdef object port, owners

        bridge_detach(self.handle, bridge_port(self.handle, number))
        self.shaping.pop(number, None)
        port, owners = self.ports.pop(number)
        (<Port> port).n_bridges -= 1
        for owner in owners:
            (<Worker> owner).n_lanes -= 1

    def has_port(self, uint32_t number):
        return number in self.ports

    def refresh_link(self, uint32_t number, up=None):
        attached = self._find(number)
        port, _ = self.ports[number]
        speed = attached.speed
        changed = self._note_link(attached, port, up)
        if attached.speed != speed and number in self.shaping:
            self._shape(attached, self.shaping[number], 0)
        if changed:
            bridge_port_status(self.handle, attached, MODIFIED)
        if attached.state & LINK_DOWN:
            mac_flush(&self.handle.macs, number, MAC_ANY_VLAN, 0)
        return changed

    cdef bint _note_link(self, attachment *attached, Port port, up) except -1:
        cdef attachment old = attached[0]

        try:
            link = port.link()
        except OSError:
            attached.state = LINK_DOWN
        else:
            attached.state = LINK_LIVE if (link.up if up is None else up) else LINK_DOWN
            attached.speed = link.speed
            memcpy(attached.mac, <const char *> link.mac, 6)
        return (attached.state != old.state or attached.speed != old.speed
                or memcmp(attached.mac, old.mac, 6) != 0)

    def set_enabled(self, uint32_t number, bint enabled):
        attached = self._find(number)
        config = attached.config & ~<uint32_t> PORT_DOWN | (0 if enabled else PORT_DOWN)
        if config != attached.config:
            attached.config = config
            bridge_port_status(self.handle, attached, MODIFIED)

    def set_pipeline(self, uint32_t number, str name not None):
        cdef joining begin
        cdef attachment *attached = self._find(number)

        _start(name, &begin)
        if begin.pipeline == PIPELINE_template:
            bridge_set_template(attached, begin.template_id)
        else:
            bridge_set_pipeline(attached, begin.pipeline)

    def set_bridging(self, uint32_t number, how):
        cdef bridging room

        if bridge_set_bridging(self._find(number), _bridging(how, &room)):
            raise MemoryError

    def set_queues(self, uint32_t number, queues, uint64_t rate, uint64_t now_ms):
        attached = self._find(number)
        wanted = tuple(queues), rate
        if wanted != self.shaping.get(number, ((), 0)):
            self._shape(attached, wanted, now_ms)
            self.shaping[number] = wanted

    cdef int _shape(self, attachment *attached, tuple shaping, uint64_t now_ms) except -1:
        cdef queue_config configs[QUEUES_MAX]
        cdef tuple queues = shaping[0]
        cdef uint64_t rate = shaping[1]
        cdef uint32_t n = len(queues), i

        if n > QUEUES_MAX:
            raise ValueError(f"{n} queues are more than {QUEUES_MAX}")
        if len({queue.id for queue in queues}) < n:
            raise ValueError("two queues have the same number")
        for i, queue in enumerate(queues):
            configs[i] = queue_config(id=queue.id, priority=queue.priority,
                                      min_rate=queue.min_rate, max_rate=queue.max_rate,
                                      burst=queue.burst, limit=queue.limit)
        if n and not rate:
            rate = <uint64_t> attached.speed * MBIT
        error = bridge_set_queues(attached, configs, n, rate, now_ms)
        if error:
            raise OSError(error, os.strerror(error))
        return 0

    def port_state(self, uint32_t number):
        attached = self._find(number)
        return {
            "number": attached.number, "config": attached.config, "state": attached.state,
            "speed": attached.speed, "mac": bytes(attached.mac[:6]),
            "workers": [attached.lanes[i].worker for i in range(attached.n_lanes)],
            "closed": bridge_is_closed(attached),
        }

    # OpenFlow.

    def apply(self, const uint8_t[::1] messages not None, uint64_t now_ms):
        cdef size_t size = messages.shape[0], n, most = size // HEADER
        cdef bytearray results = bytearray(4 * (most + 1))
        cdef uint8_t[::1] view = results

        n = bridge_apply_all(self._open(), &messages[0] if size else NULL, size,
                             <uint32_t *> &view[0], most, now_ms)
        del view
        return bytes(results[:4 * n])

    def apply_bundle(self, const uint8_t[::1] messages not None, bint atomic, uint64_t now_ms):
        cdef size_t size = messages.shape[0]
        cdef uint32_t failed, result

        result = bridge_apply_bundle(self._open(), &messages[0] if size else NULL, size, atomic,
                                     &failed, now_ms)
        return failed, result

    def multipart(self, unsigned kind, const uint8_t[::1] body not None, uint64_t now_ms):
        cdef buffer out = buffer(data=NULL, len=0, size=0, failed=False)
        cdef buffer ends = buffer(data=NULL, len=0, size=0, failed=False)
        cdef uint8_t nothing = 0
        cdef uint32_t result

        try:
            result = bridge_multipart(self._open(), kind,
                                      &body[0] if body.shape[0] else &nothing, body.shape[0],
                                      &out, &ends, now_ms)
            if out.failed or ends.failed:
                raise MemoryError
            if result != OFWIRE_OK:
                raise OpenFlowError(result)
            return _parts(&out, &ends)
        finally:
            buffer_close(&out)
            buffer_close(&ends)

    def describe_queues(self, uint32_t number):
        cdef buffer out = buffer(data=NULL, len=0, size=0, failed=False)

        try:
            result = bridge_queue_config(self._open(), number, &out)
            if out.failed:
                raise MemoryError
            if result != OFWIRE_OK:
                raise OpenFlowError(result)
            return out.data[:out.len] if out.len else b""
        finally:
            buffer_close(&out)

    def events(self):
        cdef const uint8_t *data = self._open().events.data
        cdef size_t size = self.handle.events.len, begin = 0, end = 0
        cdef list runs = []

        while end < size:
            begin = end
            while end < size and data[end + 1] == data[begin + 1]:
                end += data[end + 2] << 8 | data[end + 3]
            runs.append((_EVENT_KINDS[data[begin + 1]], data[begin:end]))
        self.handle.events.len = 0
        return runs

    # Addresses.

    def fdb(self, uint64_t now_ms):
        cdef list rows = []

        mac_each(&self._open().macs, now_ms, _add_mac, <void *> rows)
        return rows

    def flush_fdb(self, uint32_t number, uint64_t now_ms, vlan=None):
        return mac_flush(&self._open().macs, number, MAC_ANY_VLAN if vlan is None else vlan, now_ms)

    def set_macs(self, uint32_t most, uint64_t ageing_ms, fixed, uint64_t now_ms):
        cdef bridge *handle = self._open()
        cdef uint32_t n = len(fixed), i
        cdef mac_fixed *rows = <mac_fixed *> malloc((n + 1) * sizeof(mac_fixed))

        if rows is NULL:
            raise MemoryError
        try:
            for i, (vlan, address, number) in enumerate(fixed):
                rows[i] = mac_fixed(address=int.from_bytes(address, "big"), port=number, vlan=vlan)
            if (mac_configure(&handle.macs, &handle.dataplane.epoch, most, ageing_ms, now_ms)
                    or mac_fix(&handle.macs, &handle.dataplane.epoch, rows, n)):
                raise MemoryError
        finally:
            free(rows)

    def macs(self):
        cdef bridge *handle = self._open()

        return {
            "learned": counter_read(&handle.dataplane.counters, handle.macs_learned).packets,
            "moved": counter_read(&handle.dataplane.counters, handle.macs_moved).packets,
            "refused": counter_read(&handle.dataplane.counters, handle.macs_refused).packets,
        }

    def set_multicast(self, how):
        cdef multicast wanted = multicast(
            snoops=how.snoops, querier=how.querier, floods_unknown=how.floods_unknown,
            max_groups=how.max_groups)

        if bridge_set_multicast(self._open(), &wanted):
            raise MemoryError

    def groups(self):
        cdef const snoop *known = bridge_snooped(self._open())
        cdef list rows = []

        if known is not NULL:
            snoop_each(known, _add_group, <void *> rows)
        return rows

    def multicast(self):
        cdef const snoop *known = bridge_snooped(self._open())

        if known is NULL:
            return {"groups": 0, "refused": 0, "malformed": 0}
        return {"groups": known.n, "refused": known.refused, "malformed": known.malformed}

    def tables(self):
        cdef bridge *handle = self._open()
        cdef counter_sum lookups
        cdef list rows = []

        for i in range(BRIDGE_TABLES):
            lookups = counter_read(&handle.dataplane.counters, handle.tables[i].lookups)
            if handle.tables[i].table.n_flows or lookups.packets:
                rows.append({"table": i, **_table(handle, &handle.tables[i])})
        return rows


cdef dict _table(bridge *handle, const flow_table *table):
    cdef table_stats stats
    # In the place of bytes: the cycles of lookups that were measured, and how many these were.
    cdef counter_sum lookups = counter_read(&handle.dataplane.counters, table.lookups)
    cdef counter_sum matches = counter_read(&handle.dataplane.counters, table.matches)

    get_table_stats(&table.table, &stats)
    return {
        "implementation": stats.implementation.decode(), "flows": stats.n_flows,
        "masks": stats.n_masks, "memory": stats.memory,
        "lookups": lookups.packets, "matches": matches.packets,
        "cycles": round(lookups.bytes / matches.bytes, 1) if matches.bytes else None,
    }


cdef void _add_mac(const mac_entry *entry, void *rows) noexcept with gil:
    (<list> rows).append((entry.vlan, (<object> entry.address).to_bytes(6, "big"), entry.port,
                          entry.age_ms, bool(entry.fixed)))


cdef void _add_group(const snoop_entry *entry, void *rows) noexcept with gil:
    address = (<object> entry.group.address.word[0] << 64) | entry.group.address.word[1]
    members = [(entry.ports[i].port, entry.ports[i].until_ms) for i in range(entry.n)]
    (<list> rows).append((entry.group.vlan, entry.group.family, address, members))


# Fills in what packets start in: "bridge", or a template as "template:7".
cdef int _start(str name, joining *begin) except -1:
    kind, _, number = name.partition(":")
    begin.pipeline = <pipeline_kind> <unsigned> _PIPELINES[kind]
    begin.template_id = int(number or 0)
    return 0


# Null if the port is in all VLANs; else 'room', filled.
cdef const bridging *_bridging(how, bridging *room) except? NULL:
    cdef unsigned low, high, vlan

    if how == PLAIN:
        return NULL
    memset(room, 0, sizeof(bridging))
    room.mode = <uint8_t> <unsigned> _VLAN_MODES[how.mode]
    room.vlan = how.vlan
    room.isolated, room.max_macs = how.isolated, how.max_macs
    room.router = <uint8_t> <unsigned> _ROUTERS[how.router]
    room.leaves_at_once = how.leaves_at_once
    for low, high in how.vlans:
        for vlan in range(low, high + 1):
            vlan_add(&room.vlans, vlan)
    return room


cdef list _parts(const buffer *out, const buffer *ends):
    cdef const uint32_t *end = <const uint32_t *> ends.data
    cdef list parts = []
    cdef size_t begin = 0, i

    for i in range(ends.len // sizeof(uint32_t)):
        parts.append(out.data[begin:end[i]] if end[i] > begin else b"")
        begin = end[i]
    return parts
