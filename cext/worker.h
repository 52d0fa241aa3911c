#ifndef RAICHO_WORKER_H
#define RAICHO_WORKER_H

/* Workers: receive, parse, run, transmit, quiesce.
 *
 * What
 * ====
 * A worker is a thread that polls the ports it owns and takes each vector of packets to
 * its end before it receives the next.  It is entered once, with worker_run(),
 * and left when it is told to stop.
 *
 * Threads
 * =======
 * What is marked control is called by the control thread while the worker runs. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bridge.h"
#include "cache.h"
#include "dataplane.h"
#include "learn.h"
#include "packet.h"
#include "parse.h"
#include "pool.h"
#include "profile.h"
#include "ring.h"
#include "stats.h"

/* What a worker does while no packet comes: polls for a while before it sleeps, never sleeps, sleeps
 * at once. */
enum worker_mode { WORKER_ADAPTIVE, WORKER_POLL, WORKER_INTERRUPT };

enum {
    SPIN_US = 100,                      /* How long a worker polls at most before it sleeps, unless told. */
    RESUBMIT_DEPTH = 64,                /* Resubmits inside resubmits. */
    RESUBMITS_MAX = 4096,               /* Resubmits for a packet, on average over its vector. */
    BUCKETS_RUN_MAX = 65536,            /* The same for buckets. */
};

/* The lanes a worker polls, replaced as a whole. */
struct poll_set {
    uint32_t n;
    struct lane *list[];
};

/* A packet on its way to the control plane, in 'punts'.  Host order. */
struct punt {
    uint64_t cookie, metadata, tunnel_id;
    uint32_t bridge;                    /* Its index. */
    uint32_t in_port;
    uint32_t len;                       /* Bytes of frame that follow: all of it. */
    uint16_t max_len;                   /* As the output action or the miss asks. */
    uint8_t reason;                     /* PUNT_*. */
    uint8_t table;
    uint8_t frame[];
};

/* A packet from the control plane, in 'injects'. */
struct inject {
    const struct program *program;
    uint32_t bridge;                    /* Its index. */
    uint32_t in_port;
    uint32_t args_size;                 /* Arguments of the program, first, padded to 8. */
    uint32_t len;                       /* Then the frame. */
    uint32_t reserved;
    uint8_t bytes[];
};

/* A packet from another worker to a port of this one, in 'handovers'. */
struct handover {
    uint32_t bridge;                    /* Its index. */
    uint32_t number;                    /* Of the port. */
    struct offload offload;
    uint16_t out_queue;
    uint8_t hops;
    uint32_t len;
    uint8_t frame[];
};

/* A program that a packet in 'injects' uses, until the worker is behind it. */
struct pending_program {
    struct pending_program *next;
    const struct program *program;
    size_t position;                    /* Of the ring's tail when it is free. */
};

/* How much of what a router's control thread gets is left to a worker. */
struct policer {
    uint64_t at_ms, tokens;
};

struct worker {
    unsigned id;                        /* Also its number as an epoch reader. */
    struct dataplane *dataplane;
    struct pool small, large;
    struct counters counters;           /* By counter id. */
    struct worker_counters totals;
    struct profile profile;
    struct cache cache;
    uint64_t lookups;                   /* Packets looked up in tables, over all of them. */
    _Atomic(struct poll_set *) polls;
    uint64_t now_ms, now_ns;            /* Monotonic; as of the start of this round. */
    uint32_t resubmits_left;            /* In this vector: loops of resubmits end, */
    uint32_t buckets_left;              /* and groups of groups do not multiply without end. */
    struct lane *waiting[PACKET_VECTOR];        /* Those with packets in 'tx'. */
    unsigned n_waiting;
    uint64_t release_ns;                /* When a packet in a queue may leave; UINT64_MAX: none waits. */
    _Atomic(struct queue *) left;       /* Queues that are gone, with the packets in them; the
                                         * control thread adds, the worker takes all. */

    struct ring punts;                  /* To the control thread. */
    int punt_fd;                        /* eventfd: punts were added. */
    bool punted;                        /* Since the last signal. */
    struct policer policers[ROUTE_REASONS_END - ROUTE_LOCAL];
    uint64_t snooped_ms;                /* When it last sent copies for snooping, and how many then. */
    unsigned n_snooped;
    _Atomic uint64_t snoops_lost;       /* Those that were too many, or found no room. */
    struct ring learns;                 /* Requests for flow entries (learn.h), to the control thread. */
    struct learn_recent *learnt;        /* What it asked for lately. */
    _Atomic uint64_t learns_lost;       /* Requests that found no room. */
    struct ring injects;                /* From the control thread. */
    _Atomic(struct ring *) handovers[DATAPLANE_WORKERS];    /* From other workers; null: none such. */
    int wake_fd;                        /* eventfd: wakes it while it sleeps. */
    _Atomic bool asleep, stop;
    _Atomic uint32_t mode;              /* enum worker_mode */
    _Atomic uint32_t spin_us;           /* The longest that it polls before it sleeps, if adaptive. */
    uint64_t busy_ns;                   /* When it last had a packet. */
    uint64_t spin_ns;                   /* How long it polls from then on; adapted. */
    bool slept;                         /* Since then. */
    struct pending_program *pending, *pending_last;    /* Control thread's; oldest first. */
    _Atomic uint64_t injects_lost;      /* Packets that found no room in 'injects'.  Control thread's. */
};

/* Control.  Makes a worker with id 'id', with 'n_packets' small packets (0: a sensible
 * number).  Returns null without memory or if the id is taken. */
struct worker *worker_open(struct dataplane *dataplane, unsigned id, uint32_t n_packets);

/* Control.  The thread must have left worker_run(), and no lane may be the worker's any more.  Packets
 * that are still on their way to it get where they belong; what it counted stays in the dataplane. */
void worker_close(struct worker *worker);

/* The loop.  Returns when worker_stop() was called. */
void worker_run(struct worker *worker);
void worker_stop(struct worker *worker);

/* One round of the loop without sleeping, for tests and benchmarks that own the worker's thread
 * themselves.  Returns how many packets it received. */
unsigned worker_round(struct worker *worker);

/* Control.  Sends a packet through 'program' (whose reference it takes) with 'args';
 * returns 0, ENOBUFS (queue full; counted) or EMSGSIZE; on error the reference stays the caller's. */
int worker_inject(struct worker *worker, struct bridge *bridge, const struct program *program,
                  const void *args, size_t args_size, uint32_t in_port,
                  const void *frame, size_t len);

/* Control.  Wakes it if it sleeps, so that it sees what was published. */
void worker_wake(struct worker *worker);

/* Control.  Hands over queues (a list) that no port has any more: the worker drops their packets and
 * frees them. */
void worker_leave_queues(struct worker *worker, struct queue *queues);

/* Control, while the workers stand still.  What waits in queues that were another worker's
 * waits in packets of this one from now on; what finds none is dropped. */
void worker_adopt_queues(struct worker *to, struct queue_set *queues);

/* Control.  Lets go of programs whose packets have been handled. */
void worker_release_pending(struct worker *worker);

/* Control.  Makes the flow entries that were asked for. */
void worker_learn(struct worker *worker, uint64_t now_ms);

/* Control.  The oldest punted packet, or null; and letting go of it. */
struct punt *worker_punt_peek(struct worker *worker);
void worker_punt_consume(struct worker *worker);

/* The ring in which 'worker' gets packets from worker 'from', or null. */
static inline struct ring *
worker_handovers(const struct worker *worker, unsigned from)
{
    return atomic_load_explicit(&worker->handovers[from], memory_order_acquire);
}

/* --- The loop's own (worker_sleep.c) --------------------------------------- */

/* What comes behind a round that had 'n' packets: sleeps if it is time. */
void worker_rest(struct worker *worker, unsigned n);

/* Whether nobody has sent it anything. */
bool worker_rings_empty(const struct worker *worker);

void worker_read_clock(struct worker *worker);

/* --- For instructions ------------------------------------------------------- */

/* Whether the packet itself is still needed behind an instruction: then it sends a copy. */
static inline bool
packet_stays(const struct insn *insn, const struct packet *packet)
{
    const struct walk *walk = packet_walk(packet);

    return !(insn->flags & INSN_LAST) || walk->n_blocks || walk->held;
}

/* Drops packets under a reason.  Those that a resubmit holds are dropped when it is over. */
void worker_drop(struct worker *worker, struct packet **packets, unsigned n,
                 enum drop_reason reason);

/* Ends packets that have nothing left to do: those with 'copied' set are consumed, the
 * others dropped by their actions. */
void worker_end(struct worker *worker, struct packet **packets, unsigned n);

/* A copy of a packet with its walk (action set excluded), or null (counted). */
struct packet *worker_copy(struct worker *worker, const struct packet *packet);

/* Takes packets through a meter; returns how many are left in 'packets'. */
unsigned worker_meter(struct worker *worker, const struct meter *meter, struct packet **packets,
                      unsigned n);

/* Queues a packet to leave by a port of its bridge; takes it. Completes offloads that the port does not take.
 * If the lane by which it leaves is another worker's, hands it over. */
void worker_send(struct worker *worker, struct attachment *to, struct packet *packet);

/* Queues a packet for the control plane, unless the meter for that keeps it back; takes it. */
void worker_punt(struct worker *worker, struct packet *packet, uint8_t reason, uint16_t max_len);

/* Hash of the addresses, protocol and ports: the same for all packets of a conversation in one
 * direction, its fragments too unless some of it are whole. */
uint32_t packet_hash(struct packet *packet);

/* The same as worker_punt() for the control thread's part of a router: see enum route_reason. */
void worker_punt_route(struct worker *worker, struct packet *packet, enum route_reason reason,
                       uint64_t cookie);

/* The same for a copy, if the rate allows it; leaves the packet. */
void worker_tell_route(struct worker *worker, const struct packet *packet, enum route_reason reason,
                       uint64_t cookie);

/* Queues a copy of a packet for the snooping of its bridge; leaves the packet. */
void worker_snoop(struct worker *worker, const struct packet *packet, uint16_t vlan);

/* Forwards as a learning bridge; takes the packet. */
void worker_normal(struct worker *worker, struct packet *packet);

/* Does what an output action to 'port' does; takes the packet. */
void worker_output(struct worker *worker, struct packet *packet, uint32_t port, uint16_t max_len);

/* Sends everything queued to the ports, apart from what has to wait there. */
void worker_flush(struct worker *worker);

/* Sends what may leave by now from the queues of a port, by a lane of this worker. */
void worker_send_queued(struct worker *worker, struct lane *by, struct queue_set *queues);

/* Fills the key again if an instruction has changed the headers. */
static inline void
packet_refresh(struct packet *packet)
{
    if (packet->stale) {
        parse_again(packet);
    }
}

#endif
