#ifndef RAICHO_NAT_PRIVATE_H
#define RAICHO_NAT_PRIVATE_H

/* NAT: what its files share.  See nat.h.
 *
 * An endpoint is one word: address:32, port:16, flags:8, protocol:8; it is never 0.  ICMP queries have their id
 * as port inside and outside, and 0 as port of the remote endpoint.  A host inside that has IPv6 has its number in
 * the place of an address (nat64.h), and NAT_V6 says so. */

#include <stdatomic.h>

#include "headers.h"
#include "ip.h"
#include "kv.h"
#include "nat.h"
#include "packet.h"
#include "worker.h"

enum {
    NAT_PROTOS = 4,             /* Those with ports of their own. */
    NAT_HELD = 64,              /* Fragments that wait for the first one of theirs, */
    NAT_HELD_SIZE = 2048,       /* bytes of such a one at most, */
    NAT_HELD_MS = 2000,         /* and how long. */
    NAT_FRAGMENTS = 4096,       /* Fragmented packets at a time, */
    NAT_FRAGMENT_MS = 30000,    /* and how long they are remembered (RFC 791: time to live). */
    NAT_BLOCK = 64,             /* Ports of the smallest block. */
    NAT_WATCHED = 16 | 32,      /* In the value of a session: any packet can change it. */
    NAT_STATIC = 0x100,         /* In what is behind a port: it is forwarded. */
    NAT_V6 = 0x200,             /* In an endpoint inside. */
    NAT_FRAGMENT_WORDS = 4,     /* Of the key of a fragmented packet. */
};

#define NO_DROP N_DROP_REASONS

static inline uint64_t
endpoint(uint32_t address, uint16_t port, uint8_t proto)
{
    return (uint64_t)address << 32 | (uint32_t)port << 16 | proto;
}

static inline uint64_t
endpoint6(uint32_t number, uint16_t port, uint8_t proto)
{
    return endpoint(number, port, proto) | NAT_V6;
}

static inline uint32_t
address_of(uint64_t endpoint)
{
    return (uint32_t)(endpoint >> 32);
}

static inline uint16_t
port_of(uint64_t endpoint)
{
    return (uint16_t)(endpoint >> 16);
}

/* Whose an endpoint inside is: an address, or the number of a host with IPv6. */
static inline uint64_t
source_of_endpoint(uint64_t inside)
{
    return inside >> 32 | (inside & NAT_V6 ? UINT64_C(1) << 32 : 0);
}

/* --- Outside addresses (nat_ports.c) -------------------------------------------------------------- */

struct nat_address {
    uint32_t address;
    _Atomic uint64_t used[NAT_PROTOS][65536 / 64];      /* A bit for each port. */
    _Atomic uint64_t blocks[65536 / NAT_BLOCK / 64];    /* A bit for each block that a source has. */
    _Atomic uint64_t inside[NAT_PROTOS][65536];         /* Who is behind it; 0: nobody. */
};

struct nat_address *nat_address_open(uint32_t address);
void nat_address_close(struct nat_address *address);

/* The number of a protocol's ports; NAT_PROTOS: it has none. */
static inline unsigned
ports_of(uint8_t proto)
{
    switch (proto) {
    case IP_PROTO_TCP:      return 0;
    case IP_PROTO_UDP:      return 1;
    case IP_PROTO_ICMPV4:   return 2;
    case IP_PROTO_SCTP:     return NAT_PROTOS - 1;      /* Rare: nat_ports.c puts it aside. */
    default:                return NAT_PROTOS;
    }
}

static inline const _Atomic uint64_t *
behind(const struct nat_address *address, uint8_t proto, uint16_t port)
{
    return &address->inside[ports_of(proto)][port];
}

/* Takes a port for an inside endpoint (with NAT_STATIC or without); false: it is in use. */
bool nat_port_take(struct nat_address *address, uint16_t port, uint64_t inside);

/* Takes one of the ports from 'first' to 'last': the endpoint's own number if that is free [RFC 4787, 4.2.1],
 * else one of the same parity (REQ-4), else any; false: all are in use. */
bool nat_port_choose(struct nat_address *address, uint16_t first, uint16_t last, uint64_t inside,
                     uint64_t random, uint16_t *port);

/* Asks for the memory that it will write, as far as that can be foreseen. */
void nat_port_prefetch(const struct nat_address *address, uint16_t first, uint16_t last,
                       uint64_t inside, uint64_t random);

void nat_port_give(struct nat_address *address, uint8_t proto, uint16_t port);

/* Takes a block of 'size' ports that lies whole in the range; false: all are in use. */
bool nat_block_choose(struct nat_address *address, uint16_t first, uint16_t last, uint16_t size,
                      uint64_t random, uint16_t *block);
void nat_block_give(struct nat_address *address, uint16_t size, uint16_t block);

/* --- What is configured (nat_config.c) --------------------------------------------------------------- */

/* One outside address, and which of its ports are given away. */
struct nat_row {
    struct nat_address *ports;
    uint16_t first_port, last_port;
    bool shared;
};

/* Replaced as a whole. */
struct nat_setup {
    struct nat_pool pools[NAT_POOLS];
    uint32_t pool_rows[NAT_POOLS];      /* Row of the first address of a pool. */
    unsigned n_pools;
    uint32_t max_per_source;
    uint16_t block;
    uint8_t filtering;
    bool strict_tcp, logs;
    struct ip_prefix nat64;             /* Without a length: there is none. */
    uint8_t source_bits;                /* Of IPv6. */
    struct nat_forward *forwards;
    struct nat_host *hosts;
    unsigned n_forwards, n_hosts;
    uint32_t n_rows;
    struct nat_row rows[];
};

/* The row of an address; null: it is not one of the NAT's. */
static inline const struct nat_row *
row_of(const struct nat_setup *setup, uint32_t address)
{
    for (unsigned i = 0; i < setup->n_pools; i++) {
        const struct nat_pool *pool = &setup->pools[i];

        if (address - pool->first <= pool->last - pool->first) {
            return &setup->rows[setup->pool_rows[i] + (address - pool->first)];
        }
    }
    return NULL;
}

/* --- The log (nat_log.c): bounded, of many writers and one reader ------------------------------------- */

struct nat_log_slot {
    _Atomic uint64_t turn;
    struct nat_event event;
};

struct nat_log {
    struct nat_log_slot *slots;         /* Null: nobody wants one. */
    uint32_t mask;
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) uint64_t tail;
    _Atomic uint64_t lost;
};

int nat_log_open(struct nat_log *log, uint32_t max_events);
void nat_log_close(struct nat_log *log);
void nat_log_put(struct nat_log *log, const struct nat_event *event);
bool nat_log_take(struct nat_log *log, struct nat_event *event);

/* --- Hosts inside with IPv6 (nat64_host.c) ---------------------------------------------------------------- */

struct nat64_host {
    _Atomic uint64_t word[2];           /* Its address. */
    _Atomic uint8_t source_bits;        /* How many of them say for whom it counts. */
    _Atomic bool taken;
};

struct nat64_hosts {
    struct kv numbers;                  /* Address -> {number, how often it is held}. */
    struct nat64_host *at;              /* By number. */
    uint32_t n;
    _Atomic uint32_t next;              /* Where to look for a free number. */
};

/* Room for so many hosts at least.  Returns 0 or ENOMEM; to be closed in any case. */
int nat64_hosts_open(struct nat64_hosts *hosts, uint32_t most);
void nat64_hosts_close(struct nat64_hosts *hosts);

struct ip_address nat64_host_address(const struct nat64_hosts *hosts, uint32_t number);

/* Its prefix, for which its sessions count: the same one as long as it has its number. */
struct ip_address nat64_host_source(const struct nat64_hosts *hosts, uint32_t number);

/* The number that a host has, if it has one. */
bool nat64_host_find(const struct nat64_hosts *hosts, const struct ip_address *address, uint64_t now_ms,
                     uint32_t *number);

/* Holds a host; if it has no number it gets one, and counts by that many bits.  False: there is no room. */
bool nat64_host_take(struct nat64_hosts *hosts, const struct ip_address *address, uint8_t bits, uint64_t now_ms,
                     uint32_t *number);

/* Holds a host by its number once more; false: it is nobody's any more. */
bool nat64_host_hold(struct nat64_hosts *hosts, uint32_t number, uint64_t now_ms);
void nat64_host_give(struct nat64_hosts *hosts, uint32_t number, uint64_t now_ms);

/* --- The NAT ------------------------------------------------------------------------------------------- */

/* A fragment that came before the first one of its packet. */
struct nat_held {
    uint64_t key[NAT_FRAGMENT_WORDS];                    /* As in 'fragments'. */
    uint64_t until_ms;                  /* 0: free. */
    uint32_t len;
    uint8_t frame[NAT_HELD_SIZE];
};

struct nat {
    _Atomic(struct nat_setup *) setup;
    struct kv sessions;         /* {inside, remote} -> outside, with what it holds and its state of TCP. */
    struct kv mappings;         /* inside -> {outside, number of references}. */
    struct kv sources;          /* nat_source_of() -> {number of sessions, first endpoint of its block}. */
    struct kv permits;          /* {inside, remote address} -> number of sessions. */
    struct kv hosts;            /* Address | direction << 32 -> address on the other side. */
    struct kv fragments;        /* See nat_fragment_key() -> the new addresses. */
    struct nat64_hosts hosts6;
    struct epoch *epoch;
    struct nat_log log;
    uint64_t secret;            /* So that ports cannot be foreseen (RFC 6056). */
    uint32_t max_sessions;
    _Alignas(64) _Atomic uint64_t n_sessions;
    _Atomic uint64_t n_created, n_ended, n_fragments_lost;
    _Atomic uint32_t n_held, holding;   /* 'holding' is a lock of 'held'. */
    _Atomic uint32_t next_id;           /* Of IPv4 packets that were of IPv6. */
    struct nat_held *held;
};

static inline const struct nat_setup *
setup_of(const struct nat *nat)
{
    return atomic_load_explicit(&nat->setup, memory_order_acquire);
}

/* --- Sessions (nat_session.c) --------------------------------------------------------------------------- */

/* Makes the session of a packet from inside, or from outside to 'outside' of which is known who is behind it.
 * 'value' gets what it has, also if another worker was quicker.  Returns NO_DROP, or why it cannot be. */
enum drop_reason nat_session_out(struct nat *nat, const struct nat_setup *setup,
                                 const uint64_t key[2], uint8_t tcp_flags, uint64_t now_ms,
                                 uint64_t *value);
enum drop_reason nat_session_in(struct nat *nat, const struct nat_setup *setup,
                                const uint64_t key[2], uint64_t outside, bool is_static,
                                uint8_t tcp_flags, uint64_t now_ms, uint64_t *value);

/* Asks for the memory that nat_session_out() will probably write. */
void nat_session_prefetch(const struct nat *nat, const struct nat_setup *setup, const uint64_t key[2],
                          uint64_t now_ms);

/* Notes what the flags of a TCP packet say of its session. */
void nat_session_tcp(struct nat *nat, const uint64_t key[2], uint64_t value, uint8_t tcp_flags,
                     bool from_inside, uint64_t now_ms);

/* One less in a value with the counter's number; returns whether that was the last, which is removed.  'value'
 * gets what it was. */
bool nat_count_down(struct kv *kv, unsigned counter, const uint64_t *key, uint64_t now_ms,
                    uint64_t value[2]);

/* Gives back what a session had that has gone. */
void nat_session_ended(struct nat *nat, const uint64_t key[2], uint64_t value, uint64_t now_ms);

/* Ends the sessions that 'which' says; returns how many. */
size_t nat_session_end_all(struct nat *nat, uint64_t now_ms,
                           bool (*which)(const struct nat_setup *, const uint64_t key[2],
                                         uint64_t value, uint64_t context), uint64_t context);

/* Holds a mapping that is always there, or lets go of it. */
bool nat_mapping_fix(struct nat *nat, uint64_t inside, uint64_t outside, uint64_t now_ms);
void nat_mapping_release(struct nat *nat, uint64_t inside, uint64_t now_ms);

/* The address of an endpoint inside, of either family. */
static inline struct ip_address
nat_address_of(const struct nat *nat, uint64_t inside)
{
    return inside & NAT_V6 ? nat64_host_address(&nat->hosts6, address_of(inside))
                           : ip_from_v4(address_of(inside));
}

/* For whom the sessions of an endpoint inside count: IPv4 as RFC 4291, section 2.5.5.2, has it among IPv6. */
static inline struct ip_address
nat_source_of(const struct nat *nat, uint64_t inside)
{
    return inside & NAT_V6 ? nat64_host_source(&nat->hosts6, address_of(inside))
                           : (struct ip_address) { { 0, UINT64_C(0xffff) << 32 | address_of(inside) } };
}

/* The address on the other side of one that a host has for itself; 0: it is nobody's. */
static inline uint32_t
host_of(const struct nat *nat, const struct nat_setup *setup, uint32_t address,
        enum nat_direction direction)
{
    uint64_t key = (uint64_t)direction << 32 | address, other = 0;

    return setup->n_hosts && kv_get(&nat->hosts, &key, 1, &other) ? (uint32_t)other : 0;
}

/* --- Packets ---------------------------------------------------------------------------------------------- */

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16, TCP_FLAGS_AT = 13, ICMP_ID_AT = 4 };

/* Changes of checksums, of words as they lie in memory. */
static inline uint32_t
changed16(uint16_t old, uint16_t new)
{
    return (uint16_t)~old + (uint32_t)new;
}

static inline uint32_t
changed32(uint32_t old, uint32_t new)
{
    return changed16((uint16_t)old, (uint16_t)new)
           + changed16((uint16_t)(old >> 16), (uint16_t)(new >> 16));
}

/* Adds a change to the checksum at 'at'. */
static inline void
add_change(uint8_t *at, uint32_t change)
{
    uint16_t stored;

    memcpy(&stored, at, sizeof stored);

    uint32_t sum = (uint16_t)~stored + change;

    sum = (sum & 0xffff) + (sum >> 16);
    stored = (uint16_t)~(sum + (sum >> 16));
    memcpy(at, &stored, sizeof stored);
}

/* Changes the source (NAT_OUT) or destination of an IPv4 packet, and its port or ICMP id; checksums and the
 * key of the packet follow.  'proto' 0: only the address. */
void nat_rewrite(struct packet *p, enum nat_direction direction, uint32_t address, uint16_t port,
                 uint8_t proto);

/* The message at l4 is an error (nat_icmp.c), with a packet inside. */
static inline bool
is_icmp_error(uint8_t type)
{
    return type == 3 || type == 4 || type == 11 || type == 12;
}

/* Translates an ICMP error with what is inside of it.  Returns NO_DROP, or why it cannot be. */
enum drop_reason nat_icmp_error(struct nat *nat, const struct nat_setup *setup, struct packet *p,
                                enum nat_direction direction, uint64_t now_ms);

/* Which way a fragment goes: as enum nat_direction says, or from a family to the other. */
enum nat_way { NAT_64 = NAT_IN + 1, NAT_46 };

/* The key of a fragmented packet of IPv4, before it is translated (nat_fragment.c): {source, destination}, {id,
 * protocol, direction}, 0, 0.  Its value are the new source and destination, or the number of a host with IPv6.
 * Keys of IPv6 packets are other ones (nat64.c); their value are addresses. */
void nat_fragment_key(const struct packet *p, enum nat_direction direction,
                      uint64_t key[NAT_FRAGMENT_WORDS]);

/* Notes that the first fragment with this key was translated. */
void nat_fragment_first(struct nat *nat, const uint64_t key[NAT_FRAGMENT_WORDS], uint64_t value,
                        uint64_t now_ms);

/* Translates a later fragment; false: the first one has not come yet. */
bool nat_fragment_later(struct nat *nat, struct packet *p, const uint64_t key[NAT_FRAGMENT_WORDS],
                        uint64_t now_ms);

/* Keeps a copy of a packet until the first one comes; takes the packet. */
void nat_fragment_hold(struct nat *nat, struct worker *worker, struct packet *p,
                       const uint64_t key[NAT_FRAGMENT_WORDS]);

/* Puts those that can go on by now, which go that way (also enum nat_direction), behind 'n' packets (at least one);
 * returns how many there are then.  From one family to the other they are as they came. */
unsigned nat_fragment_release(struct nat *nat, struct worker *worker, struct packet **packets,
                              unsigned n, unsigned room, unsigned way);

#endif
