/* Routers under ThreadSanitizer: two workers forward while the control thread changes neighbours, groups, routes,
 * trees, addresses and interfaces.  A frame that leaves has the receiver and the sender of one adjacency, never
 * halves of two, and what comes in is accounted for. */

#include "threads.h"

#include "trees.h"

enum { N_STEPS = 4000, IN = 1, OUT = 2, ELSEWHERE = 3, N_HOSTS = 8 };

struct traffic {
    struct threads *t;
    _Atomic bool done;
    pthread_t thread;
    uint64_t n_taken[RIG_PORTS + 1];
    uint64_t n_to_groups;
};

static void
take(struct traffic *traffic)
{
    struct frame out;
    size_t len;

    for (unsigned port = OUT; port <= ELSEWHERE; port++) {
        while ((len = port_memory_take(&traffic->t->ports[port], out.data, sizeof out.data, NULL))) {
            uint64_t to = get_be48(out.data);
            CHECK(get_be48(out.data + 6) == MAC_OF(port));
            CHECK(to == 0xffffffffffff || to >> 40 & 1
                  || (to >= MAC_OF_HOST(port, 0) && to < MAC_OF_HOST(port, N_HOSTS)));
            traffic->n_taken[port]++;
            traffic->n_to_groups += to >> 24 == 0x01005e;
        }
    }
    while (port_memory_take(&traffic->t->ports[IN], out.data, sizeof out.data, NULL)) {
        continue;
    }
}

static void *
make_traffic(void *traffic_)
{
    struct traffic *traffic = traffic_;
    struct frame f;

    for (unsigned i = 0; !atomic_load(&traffic->done); i++) {
        if (i % 4 == 2) {
            group_packet(&f, IN, IP_V4, V4(10, 0, IN, 9), GROUP4(i / 4 % 4), 64, 30);
        } else if (i & 1) {
            udp_packet(&f, IN, IP_V6, V6(IN, 9), V6(77, i % 256), 64, 30);
        } else {
            udp_packet(&f, IN, IP_V4, V4(10, 0, IN, 9), V4(192, 0, i % 4, i % 256), 64, 30);
        }
        port_memory_put(&traffic->t->ports[IN], f.data, f.len, NULL);
        take(traffic);
        if (i % 16 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

/* A group by one or two gateways, and a route of some length to it, or none. */
static void
change_routes(struct router *router, const uint32_t index[], unsigned i)
{
    uint8_t family = i & 1 ? IP_V6 : IP_V4;
    struct next_hop hops[2];
    unsigned n = 1 + (i >> 1) % 2, first = OUT + (i >> 2) % 2;

    for (unsigned j = 0; j < 2; j++) {
        unsigned port = first == OUT ? OUT + j : ELSEWHERE - j;
        hops[j] = (struct next_hop) {
            .kind = NEXT_HOP_GATEWAY, .family = family, .weight = (uint16_t) (1 + i % 7),
            .interface = index[port],
            .gateway = family == IP_V4 ? V4(10, 0, port, 9) : V6(port, 9),
        };
    }
    CHECK(router_put_group(router, ROUTE_FPM, family, hops, n) == ROUTE_DONE);
    struct ip_prefix prefix = { family == IP_V4 ? V4(192, 0, i % 4, 0) : V6(77, 0), family,
                                family == IP_V4 ? 24 : 64 };
    if (i % 5) {
        CHECK(router_put_route(router, ROUTE_FPM, &prefix, 1, i, family) == ROUTE_DONE);
    } else {
        router_remove_route(router, ROUTE_FPM, &prefix);
    }
}

/* A tree of the sender or of any, from nowhere to both interfaces; or none. */
static void
change_trees(const struct routing_rig *r, unsigned i)
{
    const struct tree_words words = {
        .op = i % 3 ? 1 : 2, .source = i % 2 ? ROUTE_STATIC : ROUTE_FPM, .incoming = i % 5 ? IN : 0,
        .outgoing = (i / 4 % 4) << OUT, .group = GROUP4(i % 4),
        .from = i / 8 % 2 ? V4(10, 0, IN, 9) : any_source, .is_local = i % 7 == 0,
    };
    uint8_t record[TREE_RECORD + 4 * RIG_PORTS], result[4];

    CHECK(router_tree_mod(r->router, record, tree_write(r, &words, record), result, 1) == 1);
    if (i % 100 == 0) {
        tib_begin(&r->router->tib, ROUTE_FPM);
        tib_sweep(&r->router->tib, ROUTE_FPM);
    }
}

static void
change_interface(struct threads *t, struct router *router, const uint32_t index[], unsigned i)
{
    struct interface_config config = interface_of_bridge(t->bridge, ELSEWHERE);

    config.up = i % 2;
    config.reverse_path = i % 3;
    CHECK(!router_set_interface(router, index[ELSEWHERE], &config));
}

static void
take_punts(struct threads *t)
{
    for (unsigned i = 0; i < N_THREADS; i++) {
        struct punt *punt;
        for (unsigned j = 0; j < 64 && (punt = worker_punt_peek(t->workers[i])); j++) {
            router_punt(&t->dataplane, punt, threads_now());
            worker_punt_consume(t->workers[i]);
        }
    }
}

int
main(void)
{
    struct threads *t = threads_new();
    struct router *router = router_open(&t->dataplane, "r");
    struct traffic traffic = { .t = t };
    struct routing_rig r = { .router = router };
    uint32_t *index = r.index;

    for (unsigned i = IN; i <= ELSEWHERE; i++) {
        add_interface(&r, t->bridge, t->at[i], i);
    }
    CHECK(!pthread_create(&traffic.thread, NULL, make_traffic, &traffic));
    for (unsigned i = 0; i < N_STEPS; i++) {
        unsigned port = OUT + i % 2;
        uint8_t family = i & 2 ? IP_V6 : IP_V4;
        set_neighbour_at(&r, port, family, family == IP_V4 ? V4(10, 0, port, 9) : V6(port, 9),
                         MAC_OF_HOST(port, i % N_HOSTS), threads_now());
        change_routes(router, index, i);
        change_trees(&r, i);
        if (i % 50 == 0) {
            change_interface(t, router, index, i / 50);
        }
        take_punts(t);
        dataplane_tick(&t->dataplane, threads_now());
        if (i % 16 == 0) {
            sched_yield();
        }
    }
    atomic_store(&traffic.done, true);
    pthread_join(traffic.thread, NULL);
    CHECK(traffic.n_taken[OUT]);
    CHECK(traffic.n_to_groups);
    router_close(router);
    threads_free(t);
    printf("%llu and %llu packets, %u changes\n", (unsigned long long) traffic.n_taken[OUT],
           (unsigned long long) traffic.n_taken[ELSEWHERE], N_STEPS);
    return 0;
}
