#ifndef RAICHO_STATS_H
#define RAICHO_STATS_H

/* Counters: one set per worker, written without atomic read-modify-write,
 * summed by the reader.
 *
 * What
 * ====
 * A counter counts packets and bytes and remembers when it last did.  Flows,
 * groups, buckets and meters each have one, known by its id.  Ids are handed
 * out by the control thread; each worker has the same pages.
 *
 * Every packet that comes in goes out, up, or is counted under one reason:
 *
 *   received + injected + copied == sent + punted + consumed + sum of drops
 *
 * 'consumed' are packets whose copies went out and whose original has nothing
 * left to do. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X(name, what people read). */
#define DROP_REASONS(X)                                                     \
    X(no_entry,     "no entry of the table matches, and there is no miss entry") \
    X(action,       "the entry says so: nothing to do with the packet")     \
    X(no_port,      "output to a port that is not there")                   \
    X(in_port,      "output to the port it came from")                      \
    X(port_down,    "output to a port that is down or does not forward")    \
    X(port_no_recv, "received on a port that is told not to receive")       \
    X(tx,           "the port could not take it")                           \
    X(ttl,          "time to live used up")                                 \
    X(no_group,     "the group is gone or has no live bucket")              \
    X(depth,        "groups or resubmits inside each other too deep, or too many") \
    X(fragment,     "fragments are told to be dropped")                     \
    X(meter,        "over the rate of a meter")                             \
    X(punt,         "the queue to the control plane is full")               \
    X(no_buffer,    "no packet to copy into")                               \
    X(no_room,      "no room for another header")                           \
    X(segment,      "could not be cut into segments")                       \
    X(no_program,   "the program of its port, or a meter of that, is not there")           \
    X(reserved,     "sent to a group address that bridges do not forward")  \
    X(handover,     "the queue to another worker is full")                  \
    X(queue,        "its queue of the port is full or was taken out")       \
    X(vlan,         "its VLAN may not pass the port")                       \
    X(isolated,     "from one isolated port to another")                    \
    X(blocked,      "from or to an address that is to be dropped") \
    X(no_interface, "to a router where it has no interface, or one that is down") \
    X(not_ip,       "an entry sends it to a router, and it is no IP packet") \
    X(not_ours,     "to another station's address, on an interface of a router") \
    X(ip_header,    "malformed IP header, or its checksum is wrong")        \
    X(martian,      "from or to an address that no router forwards")        \
    X(reverse_path, "no route leads back to where it came from")            \
    X(tree_incoming, "to a group, not by the interface by which its tree comes in") \
    X(tree_outgoing, "to a group whose tree has no other interface that is up") \
    X(blackhole,    "its route says so")                                    \
    X(label,        "nobody has told what becomes of its label")            \
    X(label_stack,  "a stack of labels that is cut, or too high")           \
    X(label_mtu,    "longer, with its labels, than the link takes")         \
    X(punt_rate,    "over the rate of what goes to the control thread of a router")   \
    X(plugin,       "an instruction of a plug-in says so")                  \
    X(nat_full,     "NAT: no room for another session")                     \
    X(nat_limit,    "NAT: its source has as many sessions as it may")       \
    X(nat_ports,    "NAT: no port outside is free")                         \
    X(nat_no_session, "NAT: belongs to no session and may begin none")      \
    X(nat_protocol, "NAT: cannot be translated")                            \
    X(nat_fragment, "NAT: a fragment that cannot be waited for")

enum drop_reason {
#define X(NAME, TEXT) DROP_##NAME,
    DROP_REASONS(X)
#undef X
    N_DROP_REASONS
};

/* Reasons by number, for people; in DROP_REASONS order. */
struct drop_info {
    char name[16];
    char text[64];
};
extern const struct drop_info drop_table[N_DROP_REASONS];

struct counter {
    _Alignas(32) _Atomic uint64_t packets;  /* Two counters a cache line, none across two. */
    _Atomic uint64_t bytes;
    _Atomic uint64_t used;              /* Worker's clock in ms when it last counted; 0 never. */
};

enum {
    COUNTER_PAGE = 4096,                /* Counters in a page. */
    COUNTER_PAGES = 4096,               /* Pages: 16M counters. */
    COUNTER_NONE = 0,                   /* The counter that nobody reads. */
};

/* A worker's counters. */
struct counters {
    _Atomic(struct counter *) pages[COUNTER_PAGES];
};

/* What a worker did with packets. */
struct worker_counters {
    _Atomic uint64_t received, injected, copied, sent, punted, consumed;
    _Atomic uint64_t drops[N_DROP_REASONS];
};

/* Adds what a worker that is gone has counted.  Control thread. */
void worker_counters_add(struct worker_counters *sum, const struct worker_counters *counters);

static inline struct counter *
counter_at(const struct counters *counters, uint32_t id)
{
    return atomic_load_explicit(&counters->pages[id / COUNTER_PAGE], memory_order_relaxed)
           + id % COUNTER_PAGE;
}

/* Adds to a number that only this thread writes. */
static inline void
bump(_Atomic uint64_t *number, uint64_t n)
{
    atomic_store_explicit(number,
        atomic_load_explicit(number, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void
counter_add(const struct counters *counters, uint32_t id, uint64_t packets, uint64_t bytes,
            uint64_t now_ms)
{
    struct counter *counter = counter_at(counters, id);

    bump(&counter->packets, packets);
    bump(&counter->bytes, bytes);
    atomic_store_explicit(&counter->used, now_ms, memory_order_relaxed);
}

/* Sums and ids.  Control thread only. */
struct counter_ids {
    struct counters **sets;             /* One per worker. */
    unsigned n_sets;
    uint32_t n_used;                    /* Ids handed out so far. */
    uint32_t *free;                     /* Ids given back. */
    uint32_t n_free, max_free;
    struct counters *former;            /* Numbers of workers that are gone; pages as needed. */
};

struct counter_sum {
    uint64_t packets, bytes;
    uint64_t used;                      /* The latest, in ms; 0 never. */
};

/* Starts with id COUNTER_NONE taken. Returns 0 or ENOMEM. */
int counter_ids_open(struct counter_ids *ids);
void counter_ids_close(struct counter_ids *ids);

/* Adds a worker's set, with pages for every id handed out so far. 0 or ENOMEM. */
int counter_ids_add_set(struct counter_ids *ids, struct counters *counters);

/* Takes a set out that no worker uses any more, and frees its pages.  Its numbers stay in the
 * sums. */
void counter_ids_remove_set(struct counter_ids *ids, struct counters *counters);

/* Returns a fresh id, all of whose counters are 0, or COUNTER_NONE without memory. */
uint32_t counter_new(struct counter_ids *ids);

/* Gives an id back.  Only after the readers have passed (epoch.h). */
void counter_release(struct counter_ids *ids, uint32_t id);

struct counter_sum counter_read(const struct counter_ids *ids, uint32_t id);

/* Fetches what counter_read() will read. */
static inline void
counter_prefetch(const struct counter_ids *ids, uint32_t id)
{
    for (unsigned i = 0; i < ids->n_sets; i++) {
        __builtin_prefetch(counter_at(ids->sets[i], id));
    }
}

#endif
