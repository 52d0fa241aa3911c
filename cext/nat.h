#ifndef RAICHO_NAT_H
#define RAICHO_NAT_H

/* NAT: what hosts inside send goes out under few addresses, and answers find their way back.
 *
 * What
 * ====
 * IPv4 with TCP, UDP, SCTP and ICMP queries; with IPv6 inside, nat64.h.  A *mapping* joins an endpoint inside
 * (address, protocol, port or ICMP id) with one outside, whoever it talks to [1, REQ-1]; a *session* is what it
 * says to one remote endpoint, with a timer of its own.  A mapping lives as long as it has sessions.  Who may come in
 * through a mapping is a choice [1, REQ-8].  Packets from inside to an outside address of the NAT itself
 * are taken in again (hairpin [1, REQ-9]).  Static mappings (port forwards) are always there; a host can
 * have an outside address all to itself (one-to-one), with every protocol and without sessions.
 *
 * How
 * ===
 * Sessions, mappings and what belongs to sources are keys and values (kv.h).  Each outside address has, for
 * each protocol, a bit for each port that is in use and the inside endpoint behind it: two loads find it.
 * Workers make sessions, whichever meets the first packet; only the control thread ends them
 * (nat_tick()).  References of mappings are counted in their values, which are swapped.
 *
 * Cost
 * ====
 * A packet of a session: one lookup in a batch, and from outside one more load; no lock.  A new session:
 * two inserts.  An outside address takes 2 MB.
 *
 * Threads: nat_translate() any worker; everything else the control thread.
 *
 * [1] RFC 4787 (UDP); [2] RFC 5382 (TCP); [3] RFC 5508 (ICMP); RFC 7857 updates them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ip.h"

struct epoch;
struct packet;
struct worker;

enum nat_direction { NAT_OUT, NAT_IN };

/* Who may send to a mapping [1, section 5]: anybody; addresses that it has sent to; endpoints that it has
 * sent to. */
enum nat_filtering { NAT_OPEN, NAT_BY_ADDRESS, NAT_BY_ENDPOINT };

/* X(name, default in seconds, whether packets do not prolong it). */
#define NAT_TIMERS(X)                                                                   \
    X(udp,             300,  false)     /* At least 120 [1, REQ-5]. */                  \
    X(icmp,            60,   false)     /* At least 60 [3, REQ-2]. */                   \
    X(tcp_transitory,  240,  false)     /* Not open yet; at least 240 [2, REQ-5]. */    \
    X(tcp_established, 7440, false)     /* At least 7440 [2, REQ-5]. */                 \
    X(tcp_closed,      240,  true)      /* Both sides said FIN, or one RST. */

enum nat_timer {
#define X(NAME, SECONDS, FIXED) NAT_TIMER_##NAME,
    NAT_TIMERS(X)
#undef X
    N_NAT_TIMERS
};

enum {
    NAT_POOLS = 16, NAT_ADDRESSES = 1024,
    NAT_SOURCE_BITS = 64,       /* A host with IPv6 has all addresses of a link to choose from (RFC 4291, 2.5.4). */
};

/* Addresses outside, and which of their ports are given away.  Addresses that are numbers are IPv4 in host order. */
struct nat_pool {
    uint32_t first, last;
    uint16_t first_port, last_port;
    bool shared;                /* Also somebody else's: what belongs to no mapping is left alone. */
};

/* What comes to an endpoint outside goes to one inside. */
struct nat_forward {
    uint32_t outside;
    struct ip_address inside;   /* IPv6 if inside_v6. */
    uint16_t outside_port, inside_port;
    uint8_t proto;              /* TCP or UDP. */
    bool inside_v6;
};

struct nat_host {
    uint32_t outside, inside;
};

struct nat_config {
    const struct nat_pool *pools;
    const struct nat_forward *forwards;
    const struct nat_host *hosts;       /* One-to-one; outside they are in no pool. */
    unsigned n_pools, n_forwards, n_hosts;
    uint32_t max_per_source;            /* Sessions of a source inside; 0: no limit. */
    uint8_t source_bits;                /* So many bits of an IPv6 address are a source; 0: NAT_SOURCE_BITS.  Hosts
                                         * with sessions count as before.  Of IPv4 each address is one. */
    uint16_t block;                     /* Ports that a source has for itself, a power of two from 64 on;
                                         * 0: it takes any. */
    uint8_t filtering;                  /* enum nat_filtering */
    bool strict_tcp;                    /* A connection begins with a SYN; else any packet from inside
                                         * will do, so that connections outlive the NAT. */
    bool logs;                          /* Mappings that come and go are events. */
    struct ip_prefix nat64;             /* Behind it hosts inside with IPv6 find all of IPv4 (nat64.h); without
                                         * a length: they do not. */
    uint32_t timers[N_NAT_TIMERS];      /* Seconds; 0: the default. */
};

/* Numbers of entries: what is there. */
struct nat_counts {
    uint64_t sessions, mappings, sources, fragments, held;
    uint64_t created, ended;            /* Sessions so far. */
    uint64_t fragments_lost;            /* Held in vain. */
    uint64_t events_lost;
};

struct nat_session {
    struct ip_address inside;           /* IPv6 if inside_v6. */
    bool inside_v6;
    uint32_t outside, remote;
    uint16_t inside_port, outside_port, remote_port;
    uint8_t proto;
    uint8_t timer;                      /* enum nat_timer */
    uint64_t idle_ms;                   /* Since a packet; noted once a second only. */
};

/* A mapping that came or went, for a log: what RFC 6888, section 4, asks for, and no destination (REQ-12). */
struct nat_event {
    uint64_t at_ms;
    struct ip_address inside;           /* IPv6 if inside_v6. */
    bool inside_v6;
    uint32_t outside;
    uint16_t inside_port, outside_port;
    uint8_t proto;
    bool created;
};

struct nat;

/* Makes a NAT of nothing, with room for so many sessions, and for so many events (0: no log).  Null
 * without memory.  'epoch' is that of its workers. */
struct nat *nat_open(struct epoch *epoch, uint32_t max_sessions, uint32_t max_events);

/* No worker may use it any more. */
void nat_close(struct nat *nat);

/* Whether a NAT could be like this: 0 or EINVAL, and 'why' says what is wrong. */
int nat_check(const struct nat_config *config, char *why, size_t size);

/* Makes it what the configuration says.  Sessions that still fit go on.  Returns 0, EINVAL or ENOMEM; then
 * 'why' says what is wrong, and nothing has changed. */
int nat_configure(struct nat *nat, const struct nat_config *config, uint64_t now_ms, char *why,
                  size_t size);

/* Ends sessions whose time is over, at most 'limit'; to be called often.  Returns how many. */
size_t nat_tick(struct nat *nat, uint64_t now_ms, size_t limit);

/* Ends the sessions of an inside address (a prefix of all its bits); null: all.  Returns how many. */
size_t nat_flush(struct nat *nat, const struct ip_prefix *inside, uint64_t now_ms);

/* Ends one session: what is told of its protocol and of its endpoints inside and remote counts, the rest does
 * not.  Returns whether there was one. */
bool nat_end(struct nat *nat, const struct nat_session *session, uint64_t now_ms);

/* The next session behind '*position', which begins with 0; false: there is none. */
bool nat_next(const struct nat *nat, uint64_t *position, uint64_t now_ms,
              struct nat_session *session);

void nat_counts(const struct nat *nat, struct nat_counts *counts);

/* Takes the oldest event; false: there is none. */
bool nat_event(struct nat *nat, struct nat_event *event);

/* Translates 'n' packets; returns how many are left in 'packets', in order.  Left alone are those that are
 * not IPv4 and those from outside that are not for the NAT; what cannot be translated is dropped under
 * the reasons nat_*.  Out are packets that leave by an outside interface or have an outside address
 * of the NAT as their destination; these come back with one inside (hairpin), so that their route has to be
 * looked up again.  Fragments that waited for the first one of theirs come behind the others, while there
 * are less than 'room' packets. */
unsigned nat_translate(struct nat *nat, struct worker *worker, struct packet **packets, unsigned n,
                       unsigned room, enum nat_direction direction);

/* Whether a destination is an outside address of the NAT: a packet from inside to it has to be translated
 * too.  Any thread. */
bool nat_is_outside(const struct nat *nat, uint32_t address);

#endif
