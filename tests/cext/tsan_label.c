/* Labels under ThreadSanitizer: two workers switch labels while the control thread changes the table, groups and
 * neighbours (P4).  What leaves has the labels of one row of the table, never of two, and what comes in is
 * accounted for. */

#include "threads.h"

#include "labels.h"

enum { N_STEPS = 3000, IN = 1, OUT = 2, N_LABELS = 8, LABEL = 100, PAIR = 1000 };

struct traffic {
    struct threads *t;
    _Atomic bool done;
    pthread_t thread;
    uint64_t n_taken;
};

static void
take(struct traffic *traffic)
{
    struct frame out;
    struct stack stack;

    while ((out.len = port_memory_take(&traffic->t->ports[OUT], out.data, sizeof out.data, NULL))) {
        if (get_be16(out.data + ETH_TYPE_AT) == ETH_TYPE_MPLS) {
            take_stack(&out, &stack);
            CHECK(stack.n == 2 && stack.at[0].label + PAIR == stack.at[1].label);
            CHECK(stack.at[0].ttl == 63 && stack.at[1].ttl == 63);
            traffic->n_taken++;
        }
    }
}

static void *
make_traffic(void *traffic_)
{
    struct traffic *traffic = traffic_;
    struct frame f;

    for (unsigned i = 0; !atomic_load(&traffic->done); i++) {
        const struct stack stack = { i & 1, { { LABEL + i % N_LABELS, 0, 64 } } };
        udp_packet(&f, IN, IP_V4, V4(10, 0, IN, 9), V4(192, 0, 2, i % 256), 64, 30);
        add_stack(&f, &stack);
        port_memory_put(&traffic->t->ports[IN], f.data, f.len, NULL);
        take(traffic);
        if (i % 16 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

/* All labels of step i are 'i' and PAIR more. */
static void
change(struct router *router, uint32_t interface, unsigned i)
{
    const struct ip_prefix label = prefix_of_label(LABEL + i % N_LABELS),
                           prefix = { V4(192, 0, 2, 0), IP_V4, 24 };
    const struct next_hop hop = BEHIND(((struct next_hop) {
        .kind = NEXT_HOP_GATEWAY, .family = IP_V4, .weight = 1, .interface = interface,
        .gateway = V4(10, 0, OUT, 9),
    }), LABEL_FREE + i % 500, LABEL_FREE + i % 500 + PAIR);

    CHECK(router_put_group(router, ROUTE_FPM, 1 + i % 4, &hop, 1) == ROUTE_DONE);
    CHECK(router_put_route(router, ROUTE_FPM, i % 3 ? &label : &prefix, 1, 0, 1 + i % 4) == ROUTE_DONE);
    if (i % 7 == 0) {
        router_remove_route(router, ROUTE_FPM, &label);
    }
}

static void
discard_punts(struct threads *t)
{
    for (unsigned i = 0; i < N_THREADS; i++) {
        while (worker_punt_peek(t->workers[i])) {
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

    for (unsigned i = IN; i <= OUT; i++) {
        add_interface(&r, t->bridge, t->at[i], i);
    }
    CHECK(!pthread_create(&traffic.thread, NULL, make_traffic, &traffic));
    for (unsigned i = 0; i < N_STEPS; i++) {
        set_neighbour_at(&r, OUT, IP_V4, V4(10, 0, OUT, 9), MAC_OF_HOST(OUT, i % 8), threads_now());
        change(router, r.index[OUT], i);
        discard_punts(t);
        dataplane_tick(&t->dataplane, threads_now());
        if (i % 8 == 0) {
            sched_yield();
        }
    }
    atomic_store(&traffic.done, true);
    pthread_join(traffic.thread, NULL);
    CHECK(traffic.n_taken);
    discard_punts(t);
    router_close(router);
    threads_free(t);
    printf("%llu packets with labels, %u changes\n", (unsigned long long) traffic.n_taken, N_STEPS);
    return 0;
}
