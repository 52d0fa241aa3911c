#ifndef RAICHO_PACKET_H
#define RAICHO_PACKET_H

/* Packet: one cache line that says where the bytes lie and what is known of
 * them, apart from the bytes.
 *
 * What
 * ====
 * A packet comes from a pool (pool.h) or from a port's own memory.  'data' and
 * 'len' are the frame, from the first byte of the destination address.
 * In front of 'data' there is 'headroom' to grow into.
 *
 * parse() (parse.h) fills the offsets and the key.  An instruction that
 * changes bytes keeps checksums right and says so in 'stale'; the key is
 * filled again only before the next lookup.
 *
 * What the sender left to hardware, checksum and segmentation, travels in
 * 'offload' as in a virtio-net header.  Every instruction keeps it right; it
 * is completed (offload.h) only where a port cannot take it on.
 *
 * Threads
 * =======
 * A packet belongs to one worker at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key.h"

struct bridge;
struct flow;
struct pool;
struct program;
struct trace;
struct walk;

enum {
    PACKET_VECTOR = 256,        /* Most packets that are handled at a time. */
    PACKET_HEADROOM = 192,      /* Bytes a new packet has in front of it. */
    PACKET_SMALL = 2048,        /* Bytes of frame a small packet holds. */
    PACKET_LARGE = 65536 + 64,  /* The same for a large one (GSO). */
    ACTION_SET_BLOCKS = 96,     /* Write-actions a packet remembers: more than there are
                                 * kinds of actions, so that dropping blocks that later
                                 * ones override always makes room. */
    STACK_SIZE = 8,             /* Values that Nicira's push can leave for pop. */
};

/* Offsets that say "there is no such header". */
enum { NO_OFFSET = 0xffff };

/* As struct virtio_net_hdr of <linux/virtio_net.h>, host order (the legacy
 * header that PACKET_VNET_HDR and tap use). */
struct offload {
    uint8_t flags;              /* VIRTIO_NET_HDR_F_NEEDS_CSUM 1, F_DATA_VALID 2. */
    uint8_t gso_type;           /* VIRTIO_NET_HDR_GSO_*; 0 is none. */
    uint16_t hdr_len;           /* Bytes of headers, if gso_type. */
    uint16_t gso_size;          /* Bytes of payload per segment. */
    uint16_t csum_start;        /* Offset from 'data' where checksumming starts. */
    uint16_t csum_offset;       /* Offset from there where the sum goes. */
};

struct packet {
    uint8_t *data;              /* First byte of the frame. */
    uint32_t len;               /* Bytes of frame. */
    uint16_t headroom;          /* Bytes free in front of 'data'. */
    uint16_t tailroom;          /* Bytes free behind the frame, at most 65535. */

    uint16_t l2_5;              /* Offset of the outermost MPLS shim or PBB I-TAG, or NO_OFFSET. */
    uint16_t l3;                /* Offset of the IPv4, IPv6 or ARP header, or NO_OFFSET. */
    uint16_t l4;                /* Offset of a whole TCP, UDP, SCTP, ICMP header, or NO_OFFSET. */
    uint16_t eth_type_at;       /* Offset of the Ethernet type after all VLAN tags. */

    struct offload offload;
    uint8_t stale;              /* True if the key must be filled again before a lookup. */
    uint8_t copied;             /* True if a copy went out or up: its end is no drop. */

    uint32_t in_port;           /* Number on its bridge. */
    uint16_t out_queue;         /* Set by set-queue; 0 is the default queue. */
    uint8_t hops;               /* Patch ports it came through. */
    uint8_t reserved;

    union {
        const uint8_t *args;    /* Arguments of the program that runs on it. */
        struct packet *next;    /* In a queue of a port, where nothing runs any more. */
    };
    struct pool *pool;          /* Where it goes back to. */
};

/* One "write actions" that a packet met: instructions and their arguments. */
struct action_block {
    const struct program *program;
    const uint8_t *args;
};

/* State of a packet on its way through the tables.  The first line is what every packet needs; the
 * words of the key that usual packets have fill the second one. */
struct walk {
    struct bridge *bridge;      /* The bridge whose tables it is in. */
    const struct flow *flow;    /* The entry whose instructions run; null: none. */
    const struct flow *home;    /* The entry that its action set counts as carried out by. */
    const struct trace *trace;  /* What it meets, if the result cache knows. */
    struct trace *recording;    /* What it meets, to be remembered; null: it is not. */
    uint32_t flow_hash;         /* Hash of addresses and ports, for groups; 0 if not made yet. */
    uint8_t n_blocks;           /* Blocks in the action set. */
    uint8_t table;              /* Table it is in, or goes to next. */
    uint8_t depth;              /* Groups it is inside of. */
    uint8_t resubmits;          /* Resubmits it is inside of. */
    uint8_t held;               /* Those of them that it comes back from: nobody may take it. */
    uint8_t gone;               /* Held, and dropped meanwhile: the reason, plus 1. */
    uint8_t n_stack;            /* Values on the stack. */
    bool left_home;             /* A resubmit at the end of a list has led it away from 'home'. */
    uint8_t home_table;
    bool wide;                  /* Words of the key behind its first line may not be 0.  Survives the
                                 * packet: it says what the next one has to clear. */
    uint8_t reserved[10];
    struct flow_key key;
    uint64_t stack[STACK_SIZE][2];      /* Pushed values: high and low half. */
    struct action_block blocks[ACTION_SET_BLOCKS];
};

_Static_assert(offsetof(struct walk, key) == 64, "the key begins with a cache line");

/* Where a packet is in the pipeline lies right behind its descriptor. */
static inline struct walk *
packet_walk(const struct packet *p)
{
    return (struct walk *)(p + 1);
}

_Static_assert(sizeof(struct packet) == 64, "a packet is one cache line");

#endif
