# Declarations of nat.h for Cython.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from raicho.cext.dataplane cimport nat
from raicho.cext.epoch cimport epoch
from raicho.cext.router cimport ip_address, ip_prefix

cdef extern from "nat.h" nogil:
    cdef enum:
        NAT_OPEN
        NAT_BY_ADDRESS
        NAT_BY_ENDPOINT
        N_NAT_TIMERS
        NAT_TIMER_udp
        NAT_TIMER_icmp
        NAT_TIMER_tcp_transitory
        NAT_TIMER_tcp_established
        NAT_TIMER_tcp_closed

    struct nat_pool:
        uint32_t first, last
        uint16_t first_port, last_port
        bint shared

    struct nat_forward:
        uint32_t outside
        ip_address inside
        uint16_t outside_port, inside_port
        uint8_t proto
        bint inside_v6

    struct nat_host:
        uint32_t outside, inside

    struct nat_config:
        const nat_pool *pools
        const nat_forward *forwards
        const nat_host *hosts
        unsigned n_pools, n_forwards, n_hosts
        uint32_t max_per_source
        uint8_t source_bits
        uint16_t block
        uint8_t filtering
        bint strict_tcp
        bint logs
        ip_prefix nat64
        uint32_t timers[N_NAT_TIMERS]

    ctypedef struct counts_of_nat "struct nat_counts":
        uint64_t sessions, mappings, sources, fragments, held
        uint64_t created, ended, fragments_lost, events_lost

    struct nat_session:
        ip_address inside
        bint inside_v6
        uint32_t outside, remote
        uint16_t inside_port, outside_port, remote_port
        uint8_t proto, timer
        uint64_t idle_ms

    ctypedef struct event_of_nat "struct nat_event":
        uint64_t at_ms
        ip_address inside
        bint inside_v6
        uint32_t outside
        uint16_t inside_port, outside_port
        uint8_t proto
        bint created

    nat *nat_open(epoch *, uint32_t max_sessions, uint32_t max_events)
    void nat_close(nat *)
    int nat_check(const nat_config *, char *why, size_t size)
    int nat_configure(nat *, const nat_config *, uint64_t now_ms, char *why, size_t size)
    size_t nat_flush(nat *, const ip_prefix *inside, uint64_t now_ms)
    bint nat_end(nat *, const nat_session *, uint64_t now_ms)
    bint nat_next(const nat *, uint64_t *position, uint64_t now_ms, nat_session *)
    void nat_counts(const nat *, counts_of_nat *)
    bint nat_event(nat *, event_of_nat *)
