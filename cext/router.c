/* Routers, and what all routers of a dataplane share. */

#include "router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "router_private.h"
#include "worker.h"

/* --- What is shared ---------------------------------------------------------------------------- */

/* An adjacency that is always there. */
static int
make_constant(struct routing *routing, enum adjacency_kind kind, uint32_t *id)
{
    struct adjacency *adjacency = adjacency_make(kind, 0);

    *id = adjacency ? adjacency_new(&routing->adjacencies, adjacency) : 0;
    if (adjacency && !*id) {
        adjacency_drop(adjacency);
    }
    return *id ? 0 : ENOMEM;
}

/* A packet of ours whose fragments do not all come: its sender is told. */
static void
reassembly_over(void *dataplane_, uint32_t interface, const uint8_t *packet, size_t len)
{
    struct dataplane *dataplane = dataplane_;
    struct router_interface *own = interface_own(dataplane, interface);

    if (own) {
        router_send_error(own, ICMP_REASSEMBLY_EXCEEDED, 0, packet, len, false,
                          dataplane->routing.neighbours.now_ms);
    }
}

int
routing_open(struct dataplane *dataplane)
{
    struct routing *routing = &dataplane->routing;
    const struct insn output[] = { { .op = OP_output, .size = 16 }, { .op = OP_done } };
    uint64_t seed = (uintptr_t) dataplane;
    int error = adjacency_table_open(&routing->adjacencies, &dataplane->epoch);

    error = error ? error : make_constant(routing, ADJACENCY_LOCAL, &routing->local);
    error = error ? error : make_constant(routing, ADJACENCY_BLACKHOLE, &routing->blackhole);
    error = error ? error : make_constant(routing, ADJACENCY_UNREACHABLE, &routing->unreachable);
    error = error ? error : make_constant(routing, ADJACENCY_PROHIBIT, &routing->prohibit);
    error = error ? error : neighbours_open(&routing->neighbours, &neighbour_defaults,
                                            &router_neighbour_owner, dataplane, seed, 0);
    error = error ? error : reassembly_open(&routing->reassembly, &reassembly_defaults,
                                            reassembly_over, dataplane, seed, 0);
    if (!error) {
        routing->output = program_intern(&dataplane->programs, output, 2);
        error = routing->output ? 0 : ENOMEM;
    }
    return error;
}

void
routing_close(struct dataplane *dataplane)
{
    struct routing *routing = &dataplane->routing;

    neighbours_close(&routing->neighbours);
    reassembly_close(&routing->reassembly);
    idmap_close(&routing->users);
    buffer_close(&routing->escalated);
    idmap_close(&routing->pushes);
    epoch_synchronize(&dataplane->epoch);
    epoch_reclaim(&dataplane->epoch);
    adjacency_table_close(&routing->adjacencies);
}

/* --- A router -------------------------------------------------------------------------------------- */

struct router *
router_open(struct dataplane *dataplane, const char *name)
{
    struct router *router = calloc(1, sizeof *router);

    if (!router) {
        return NULL;
    }
    strncpy(router->name, name, sizeof router->name - 1);
    router->dataplane = dataplane;
    router->tib = (struct tib) { .dataplane = dataplane, .changed = router_tree_changed, .context = router };
    fib_open(&router->fib, &dataplane->epoch);
    rib_open(&router->rib, &(const struct rib_ops) {
        .best_changed = router_best_changed, .removed = router_route_removed, .context = router,
    });
    router->next = dataplane->routing.routers;
    dataplane->routing.routers = router;
    return router;
}

static void
unlink_router(struct router *router)
{
    struct router **link = &router->dataplane->routing.routers;

    while (*link != router) {
        link = &(*link)->next;
    }
    *link = router->next;
}

void
router_close(struct router *router)
{
    struct dataplane *dataplane = router->dataplane;

    for (uint32_t index = 1; index < INTERFACES_MAX; index++) {
        const struct router_interface *own = interface_own(dataplane, index);
        if (own && own->router == router) {
            router_remove_interface(router, index);
        }
    }
    unlink_router(router);
    router_close_groups(router);
    epoch_synchronize(&dataplane->epoch);
    rib_close(&router->rib);
    fib_close(&router->fib);
    escalation_close(router);
    tib_close(&router->tib);
    lib_close(&router->lib);
    free(router);
    epoch_reclaim(&dataplane->epoch);
}
