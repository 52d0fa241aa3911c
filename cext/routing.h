#ifndef RAICHO_ROUTING_H
#define RAICHO_ROUTING_H

/* Routing: what all routers of a dataplane share: interfaces by index, and adjacencies.
 *
 * Threads: the control thread writes; workers read. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "adjacency.h"
#include "buffer.h"
#include "idmap.h"
#include "icmp.h"
#include "interface.h"
#include "neighbour.h"
#include "reassembly.h"

struct dataplane;
struct packet;
struct router;
struct router_interface;
struct worker;

struct routing {
    struct adjacency_table adjacencies;
    _Atomic(struct interface *) interfaces[INTERFACES_MAX];
    _Atomic uint16_t numbered[INTERFACES_MAX];  /* Their indices, by the number that actions use; 0: none. */

    /* The control thread's: */
    struct router_interface *own[INTERFACES_MAX];       /* Its side of the interfaces. */
    uint32_t next_interface;    /* Where to look for an index for the next one. */
    uint32_t local, blackhole, unreachable, prohibit;   /* Adjacencies that are always there. */
    struct neighbours neighbours;
    struct reassembly reassembly;
    struct icmp_counters icmp;
    struct buffer escalated;    /* Copies that have not been taken: struct escalated. */
    uint32_t last_escalation;   /* Id that was handed out last. */
    struct idmap users;         /* Groups, by the adjacency that is their only member. */
    struct idmap pushes;
    struct router *routers;     /* All of them, a list. */
    struct router_interface *listening;         /* Interfaces that ask for members of groups, a list. */
    struct router_interface *advertising;       /* Interfaces whose hosts are told of the router, a list. */
    uint32_t n_tentative;       /* Addresses that are asked for. */
    const struct program *output;       /* Sends a packet to the port in its arguments. */
};

/* Returns 0 or ENOMEM. */
int routing_open(struct dataplane *dataplane);

/* Routers must be closed before. */
void routing_close(struct dataplane *dataplane);

/* Reader or writer; null: there is none. */
static inline const struct interface *
interface_at(const struct routing *routing, uint32_t index)
{
    return index < INTERFACES_MAX
           ? atomic_load_explicit(&routing->interfaces[index], memory_order_acquire) : NULL;
}

/* Reader: the interface with a number for actions; null: there is none. */
static inline const struct interface *
interface_numbered(const struct routing *routing, uint32_t number)
{
    return number < INTERFACES_MAX
           ? interface_at(routing, atomic_load_explicit(&routing->numbered[number], memory_order_relaxed))
           : NULL;
}

/* Routes packets that came by an interface and go no other way; takes them. */
void worker_route(struct worker *worker, const struct interface *interface, struct packet **packets,
                  unsigned n);

/* The same for a packet with a right header that goes to many, or came in a frame that did (op_tree.c). */
void worker_route_group(struct worker *worker, const struct interface *interface, struct packet *packet,
                        bool v6);

/* Whether an adjacency leads out by an interface; by any if 'loose'. */
bool route_leads_to(const struct adjacency_table *table, uint32_t id, const struct interface *interface,
                    bool loose);

/* Does with an IP packet what an adjacency says that sends it nowhere; takes it. */
void worker_except(struct worker *worker, const struct interface *from, struct packet *p,
                   const struct adjacency *by, uint32_t id);

/* --- Labels (worker_label.c) --------------------------------------------------------------------- */

/* Sends an IP packet by a push.  Returns null if it has taken the packet, else what the push leads to that
 * sends it nowhere. */
const struct adjacency *worker_push(struct worker *worker, const struct interface *from,
                                    struct packet *p, uint32_t id);

/* Forwards a packet with labels that came by an interface.  Returns true if its labels end here: then it is
 * an IP packet now, to be looked up.  Else it has taken it. */
bool worker_label(struct worker *worker, const struct interface *from, struct packet *p);

#endif
