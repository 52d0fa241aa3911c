"""What rows are to reach, by their names and by what they are compared with."""

from .harness import Goal

COLD = "100k exact rules, first seconds"

PIPELINE: dict[str, dict[str, Goal]] = {
    "1 rule, 1 flow": {"ovs-dpdk": Goal(2.5), "floor": Goal(0.5)},
    "1 wildcard rule, 100k flows": {"ovs-dpdk": Goal(4)},
    "10k exact rules, 10k flows": {"ovs-dpdk": Goal(5)},
    "100k exact rules, 100k flows": {"ovs-dpdk": Goal(8)},
    COLD: {"ovs-dpdk": Goal(50)},
    "1M exact rules, 1M flows": {"floor": Goal(0.5, 10e6)},
    "10k prefixes, 100k flows": {"ovs-dpdk": Goal(6)},
    "10k rules in 49 masks, 100k flows": {"ovs-dpdk": Goal(5)},
    "49 masks under 10k flow-mods/s": {"at rest": Goal(0.85)},
    "49 masks, every packet a new flow": {"ovs-dpdk": Goal(20)},
    "8 tables, 10k flows": {"ovs-dpdk": Goal(2)},
}

# Of tables of routes: puts a second, and nanoseconds until a lookup finds a change.
# Of forwarding, beside the floor with IPv4: packets a second.
ROUTE: dict[str, Goal] = {
    "puts": Goal(value=1e6),
    "worst": Goal(value=1e6),
    "forwarding IPv4": Goal(0.5),
    "forwarding IPv6": Goal(0.33),
}

ALL_PEERS = "median of all"  # of a run, as the peer of a round trip

# As fast as the same socket allows, and as others on the same kind of port.
FORWARDING = {"bare": Goal(0.9), "ovs": Goal(1)}
KINDS = ("af_packet", "af_xdp", "af_xdp generic")
MODES = ("poll", "adaptive", "interrupt")  # of a worker

PORTS: dict[str, dict[str, Goal]] = {
    **{f"{kind}, 64 bytes": FORWARDING for kind in KINDS},
    "af_packet, TCP": {"bridge": Goal(0.9)},
    **{f"{kind}, round trip, {mode}": {ALL_PEERS: Goal(1)} for kind in KINDS for mode in MODES},
}

KV = {
    "1,000,000 entries: lookups": Goal(value=20e6),
    "1,000,000 entries: inserts": Goal(value=5e6),
}

# Half of plain routing, which is to be half of the floor.
NAT: dict[str, dict[str, Goal]] = {
    "1,000,000 sessions, out": {"floor": Goal(0.25)},
    "1,000,000 sessions, in": {"floor": Goal(0.25)},
    "1,000,000 sessions, new": {"": Goal(value=1e6)},
}

# Of a switch that runs: milliseconds of 99 of 100; beside what state sync takes, without it.
RUNNING = {"ms": Goal(value=1), "beside": Goal(0.99)}

# Of 100,000 routes: seconds until they are all there again; packets.
RESYNC = {"again": Goal(value=1), "lost": Goal(value=0)}
