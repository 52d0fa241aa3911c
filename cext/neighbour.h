#ifndef RAICHO_NEIGHBOUR_H
#define RAICHO_NEIGHBOUR_H

/* Neighbours: who is on the links of router interfaces, IPv4 and IPv6 alike.
 *
 * What
 * ====
 * A neighbour is an address on a link, its MAC address if that is known, and a state of RFC 4861
 * (section 7.3.2), also for IPv4.  Packets to one that is being asked for wait with it, a few of them.
 * It does no I/O: frames come in through arp.h and nd.h, the owner is asked and told through struct
 * neighbour_owner, time is a parameter.
 *
 *   incomplete   asked for by multicast; failed after n_multicast questions
 *   reachable    answered lately; stale when the reachable time is over
 *   stale        not asked about while nobody uses it; removed when it was unused for stale_ms
 *   delay        stale and used; asked itself after delay_ms, unless it says something before
 *   probe        asked itself; after n_unicast questions incomplete again, as it may have another
 *                MAC address now (RFC 7048, section 3)
 *   failed       does not answer; packets are refused for failed_ms, after which it is removed, or
 *                asked for again if it is held and a packet comes
 *   permanent    set by the operator; nothing that is heard changes it
 *
 * How
 * ===
 * A hash of chains, an array by slot for visits that go on where they ended, and for each link two lists,
 * oldest first: those that cannot be sent to, and those that can.  Who is new on a full link takes the place
 * of the oldest that nobody answers for, or of a stale one that is not in use.  Those that the owner holds,
 * and permanent ones, stay.
 *
 * Questions for who is unknown are limited on each link; those to known neighbours are not, so that a
 * scan of the link takes nothing from them (RFC 6583, section 7).
 *
 * Threads: the control thread's.
 *
 * Reference: RFC 4861, section 7; RFC 826; RFC 1122, section 2.3.2 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucket.h"
#include "ip.h"
#include "timer.h"

struct nd_router;

enum neighbour_state {
    NEIGHBOUR_INCOMPLETE, NEIGHBOUR_REACHABLE, NEIGHBOUR_STALE, NEIGHBOUR_DELAY, NEIGHBOUR_PROBE,
    NEIGHBOUR_FAILED, NEIGHBOUR_PERMANENT,
};

enum { NEIGHBOUR_STATES = NEIGHBOUR_PERMANENT + 1 };

/* A packet that waits, with room for the Ethernet header in front. */
struct neighbour_packet {
    struct neighbour_packet *next;
    uint32_t len;               /* Of the frame. */
    uint8_t frame[];
};

struct neighbour_list {
    struct neighbour *oldest, *newest;
};

/* What is kept of the link of an interface.  The owner has it as long as there are neighbours on it,
 * zeroed but for the first part. */
struct neighbour_link {
    uint32_t interface;         /* Index, which is the neighbours' key. */
    uint64_t mac;               /* Of the interface, in the low 48 bits. */
    struct nd_router *router;   /* What is advertised to hosts on the link (nd.h); null: nothing. */

    uint32_t n;                 /* Neighbours. */
    struct neighbour_list unresolved, resolved;
    struct rate_bucket solicits;
    uint64_t defended_ms;       /* When an address that somebody else uses too was last announced. */
};

struct neighbour {
    struct ip_address address;
    uint8_t family;             /* enum ip_family */
    uint8_t state;              /* enum neighbour_state */
    bool asked;                 /* Incomplete: somebody wants to know. */
    uint8_t n_solicits;         /* Questions since it came into its state. */
    uint8_t n_waiting;
    uint32_t adjacency;         /* The owner's; 0 at first. */
    uint32_t n_holds;           /* The owner's reasons to keep it: next hops of routes. */
    uint64_t mac;               /* Low 48 bits; good in states from reachable to probe, and permanent. */
    uint64_t changed_ms;        /* When it came into its state. */
    struct neighbour_link *link;

    uint32_t slot;
    struct neighbour *next;     /* In its chain. */
    struct neighbour *older, *newer;
    struct timer timer;
    struct neighbour_packet *first_waiting, *last_waiting;
};

/* What an interface is for an address. */
enum neighbour_role {
    NEIGHBOUR_NONE,
    NEIGHBOUR_OWN,              /* One of its own: it answers. */
    NEIGHBOUR_TENTATIVE,        /* It wants to have it: nobody is answered (RFC 4862, 5.4; IPv6). */
    NEIGHBOUR_PROXY,            /* It answers for somebody else (RFC 1027; RFC 4861, 7.2.8). */
};

/* Whom the neighbours belong to.  Of these functions only unreachable() may call back, and it may only send:
 * neighbour_get(), neighbour_send(). */
struct neighbour_owner {
    /* What 'link' is for an address that somebody asks for. */
    enum neighbour_role (*answers_for)(void *context, struct neighbour_link *link, uint8_t family,
                                       const struct ip_address *address);

    /* Whether an address is one of the link: of a prefix of the interface, or link-local.  Nobody else
     * becomes a neighbour by what he says. */
    bool (*on_link)(void *context, struct neighbour_link *link, uint8_t family,
                    const struct ip_address *address);

    /* The address of the interface from which 'target' is to be asked for: one of the same prefix, for IPv6 a
     * link-local one if there is any (RFC 4861, 7.2.2).  False: the interface has none. */
    bool (*source)(void *context, struct neighbour_link *link, uint8_t family,
                   const struct ip_address *target, struct ip_address *source);

    /* Sends a frame that begins with an Ethernet header without a VLAN tag. */
    void (*send)(void *context, struct neighbour_link *link, const uint8_t *frame, size_t len);

    /* Its MAC address is known, or is another one: its adjacency is to be published. */
    void (*resolved)(void *context, struct neighbour *neighbour);

    /* Its MAC address is not good any more: packets are to come to neighbour_send() again. */
    void (*lost)(void *context, struct neighbour *neighbour);

    /* It is about to be freed; its adjacency goes too. */
    void (*removed)(void *context, struct neighbour *neighbour);

    /* It did not answer: an IP packet (of 'eth_type') that waited, or one that comes while it is failed. */
    void (*unreachable)(void *context, struct neighbour *neighbour, uint16_t eth_type,
                        const uint8_t *packet, size_t len);

    /* When a packet last went to it (ms); 0: never. */
    uint64_t (*used)(void *context, const struct neighbour *neighbour);

    /* Somebody else on the link uses an address of ours (RFC 5227, 2.4; RFC 4862, 5.4.4). */
    void (*conflict)(void *context, struct neighbour_link *link, uint8_t family,
                     const struct ip_address *address, uint64_t mac);
};

struct neighbour_config {
    uint32_t max;                       /* Neighbours in all. */
    uint32_t max_on_link;
    uint32_t max_waiting;               /* Packets that wait, in all. */
    uint8_t max_waiting_each;           /* ... with one neighbour. */
    uint8_t n_multicast, n_unicast;     /* Questions before it is failed, or incomplete again. */
    uint32_t reachable_ms;              /* Base; each time is half to one and a half of it. */
    uint32_t retrans_ms, delay_ms, stale_ms, failed_ms;
    struct bucket_rate solicits;        /* On each link, for unknown neighbours. */
};

/* RFC 4861, section 10, and bounds for a router of a few thousand hosts. */
extern const struct neighbour_config neighbour_defaults;

struct neighbour_counters {
    uint64_t solicits;                  /* Questions sent. */
    uint64_t suppressed;                /* Not sent, above the rate. */
    uint64_t dropped;                   /* Packets that gave way to others that wait. */
    uint64_t refused;                   /* Neighbours for whom there was no room. */
    uint64_t evicted;                   /* Neighbours that gave way to others. */
    uint64_t failed;                    /* Times that one did not answer. */
    uint64_t ignored;                   /* Messages of ARP and ND that are not valid. */
    uint64_t conflicts;
};

struct neighbours {
    struct neighbour_config config;
    const struct neighbour_owner *owner;
    void *context;
    struct neighbour_counters counters;
    uint32_t n, n_waiting;
    uint64_t seed;                      /* Of the hash. */
    uint64_t random;                    /* State of the random numbers. */
    uint64_t now_ms;                    /* Of the last call. */
    struct timer_wheel wheel;
    struct neighbour **chains;          /* 'n_slots' of them, a power of two. */
    struct neighbour **slots;
    uint32_t n_slots, first_free;       /* No slot below is free. */
};

/* 'seed' makes the hash and the random times.  Returns 0 or ENOMEM. */
int neighbours_open(struct neighbours *neighbours, const struct neighbour_config *config,
                    const struct neighbour_owner *owner, void *context, uint64_t seed,
                    uint64_t now_ms);

/* Removes all of them, telling the owner. */
void neighbours_close(struct neighbours *neighbours);

/* Does what is due.  To be called every few 10 ms. */
void neighbours_advance(struct neighbours *neighbours, uint64_t now_ms);

/* Null: there is none. */
struct neighbour *neighbour_find(const struct neighbours *neighbours, uint32_t interface,
                                 uint8_t family, const struct ip_address *address);

/* Finds it, or makes it, incomplete and not asked for yet; null if there is no room or memory. */
struct neighbour *neighbour_get(struct neighbours *neighbours, struct neighbour_link *link,
                                uint8_t family, const struct ip_address *address, uint64_t now_ms);

/* Sends an IP packet to it: at once if its MAC address is known, else when it is, and asks for it.  The
 * packet is copied. */
void neighbour_send(struct neighbours *neighbours, struct neighbour *neighbour, uint16_t eth_type,
                    const uint8_t *packet, size_t len, uint64_t now_ms);

/* Asks for it, if it is incomplete and has not been asked for, or failed long enough ago. */
void neighbour_resolve(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ms);

/* While it is held it is there. */
void neighbour_hold(struct neighbour *neighbour);
void neighbour_release(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ms);

/* The operator says what its MAC address is; makes it if need be.  Returns null without room or memory. */
struct neighbour *neighbour_set(struct neighbours *neighbours, struct neighbour_link *link,
                                uint8_t family, const struct ip_address *address, uint64_t mac,
                                uint64_t now_ms);

/* Removes it, permanent or not.  One that is held becomes incomplete. */
void neighbour_remove(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ms);

/* Does so with those on a link (it is down, or goes), with permanent ones only if told. */
void neighbour_flush(struct neighbours *neighbours, struct neighbour_link *link, bool permanent,
                     uint64_t now_ms);

/* The next one from '*cursor' (0 at first) on; null at the end.  Who is there all the time is visited
 * once, whatever happens between calls. */
struct neighbour *neighbour_next(const struct neighbours *neighbours, uint32_t *cursor);

/* --- What is heard on the link (arp.c, nd.c) --------------------------------------------------- */

/* Flags of an answer (RFC 4861, 4.4). */
enum { NEIGHBOUR_SOLICITED = 1, NEIGHBOUR_OVERRIDE = 2 };

/* It answers, or says so unasked (RFC 4861, 7.2.5); makes no new neighbour.  'mac' is 0 if it
 * does not say. */
void neighbour_answered(struct neighbours *neighbours, struct neighbour_link *link, uint8_t family,
                        const struct ip_address *address, uint64_t mac, unsigned flags,
                        uint64_t now_ms);

/* It said its MAC address when it wanted something else (RFC 4861, 7.2.3); makes it if it is on the link. */
void neighbour_heard(struct neighbours *neighbours, struct neighbour_link *link, uint8_t family,
                     const struct ip_address *address, uint64_t mac, uint64_t now_ms);

/* Counts and tells that somebody else uses an address of ours. */
void neighbour_conflict(struct neighbours *neighbours, struct neighbour_link *link, uint8_t family,
                        const struct ip_address *address, uint64_t mac);

/* A random number below 'bound', which is not 0. */
uint32_t neighbour_random(struct neighbours *neighbours, uint32_t bound);

#endif
