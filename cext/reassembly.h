#ifndef RAICHO_REASSEMBLY_H
#define RAICHO_REASSEMBLY_H

/* Reassembly of IP packets to ourselves, of both versions.
 *
 * What
 * ====
 * Fragments are kept in the order of their offsets until the packet is whole.  A packet whose fragments
 * overlap is given up with all that still come of it (RFC 5722), in IPv4 too.  Packets, fragments of each
 * and bytes of all are bounded; the packet that began first gives way.
 *
 * Threads: the control thread's.
 *
 * Reference: RFC 791, section 3.2; RFC 815; RFC 8200, section 4.5; RFC 5722; RFC 6946 */

#include <stddef.h>
#include <stdint.h>

#include "ip.h"
#include "timer.h"

struct reassembly_config {
    uint32_t max_packets;
    uint32_t max_bytes;                 /* Of all fragments, with what is kept of each. */
    uint16_t max_fragments;             /* Of a packet. */
    uint32_t timeout_ms;                /* From the first fragment that comes. */
};

extern const struct reassembly_config reassembly_defaults;

enum reassembly_result {
    REASSEMBLY_WHOLE,                   /* The packet is there. */
    REASSEMBLY_WAITS,                   /* The fragment is kept. */
    REASSEMBLY_DROPPED,                 /* The fragment is damaged, overlaps, or there is no room. */
    REASSEMBLY_PARAMETER,               /* The same, and IPv6 tells the sender by ICMP_PARAMETER. */
};

struct reassembly_output {
    const uint8_t *packet;              /* REASSEMBLY_WHOLE: good until the next call. */
    size_t len;
    uint32_t parameter;                 /* Offset of what is wrong, for ICMP_PARAMETER. */
};

/* The first fragment of a packet that did not become whole in time (RFC 1122, 3.3.2: ICMP_REASSEMBLY_EXCEEDED
 * for it).  Not called if the first fragment is not there. */
typedef void reassembly_expired(void *context, uint32_t interface, const uint8_t *packet, size_t len);

struct reassembly_counters {
    uint64_t whole, fragments;
    uint64_t damaged, overlapping;      /* Fragments. */
    uint64_t no_room;                   /* Fragments that found no room. */
    uint64_t evicted, timed_out;        /* Packets. */
};

struct reassembly {
    struct reassembly_config config;
    reassembly_expired *expired;
    void *context;
    struct reassembly_counters counters;
    uint32_t n_packets, n_bytes;
    uint64_t seed;                      /* Of the hash. */
    struct timer_wheel wheel;
    struct partial **chains;            /* By source, destination, protocol and identification. */
    struct partial *oldest, *newest;
    uint8_t *whole;
};

/* Returns 0 or ENOMEM. */
int reassembly_open(struct reassembly *reassembly, const struct reassembly_config *config,
                    reassembly_expired *expired, void *context, uint64_t seed, uint64_t now_ms);
void reassembly_close(struct reassembly *reassembly);

/* Whether a packet of IP is a fragment. */
bool reassembly_needed(const uint8_t *packet, size_t len);

/* Takes a fragment (copying it) that came by an interface. */
enum reassembly_result reassembly_add(struct reassembly *reassembly, uint32_t interface,
                                      const uint8_t *packet, size_t len, uint64_t now_ms,
                                      struct reassembly_output *output);

/* Gives up packets whose time is over.  To be called every few 10 ms. */
void reassembly_advance(struct reassembly *reassembly, uint64_t now_ms);

#endif
